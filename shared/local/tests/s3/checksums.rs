//! Checksums: computed, compared, returned.

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart};

use crate::fixture::{BUCKET, Fixture, PART, code, noise, on_both_storages};

on_both_storages!(
    every_algorithm_is_checked_and_returned,
    the_default_upload_carries_a_checksum_in_its_trailer,
    a_wrong_checksum_stores_nothing,
    a_multipart_object_has_a_checksum_of_the_asked_type,
    a_part_with_a_wrong_checksum_is_refused,
);

async fn every_algorithm_is_checked_and_returned(s3: &Fixture) {
    use ChecksumAlgorithm::{Crc32, Crc32C, Crc64Nvme, Sha1, Sha256};
    for algorithm in [Crc32, Crc32C, Crc64Nvme, Sha1, Sha256] {
        let request = s3.client.put_object().bucket(BUCKET).key("k").checksum_algorithm(algorithm.clone());
        let put = request.body(b"hello".to_vec().into()).send().await.unwrap();
        let request = s3.client.head_object().bucket(BUCKET).key("k").checksum_mode(ChecksumMode::Enabled);
        let head = request.send().await.unwrap();
        let told = [
            (put.checksum_crc32(), head.checksum_crc32()),
            (put.checksum_crc32_c(), head.checksum_crc32_c()),
            (put.checksum_crc64_nvme(), head.checksum_crc64_nvme()),
            (put.checksum_sha1(), head.checksum_sha1()),
            (put.checksum_sha256(), head.checksum_sha256()),
        ];
        assert!(told.iter().all(|(put, head)| put == head), "{algorithm:?}");
        assert_eq!(told.iter().filter(|(put, _)| put.is_some()).count(), 1, "{algorithm:?}");
        assert_eq!(head.checksum_type(), Some(&ChecksumType::FullObject));
        // The client checks the body against what is returned.
        assert_eq!(s3.read("k").await, b"hello");
    }
    // Published values for "hello".
    let put = |algorithm| s3.client.put_object().bucket(BUCKET).key("k").checksum_algorithm(algorithm);
    let crc = put(Crc32).body(b"hello".to_vec().into()).send().await.unwrap();
    assert_eq!(crc.checksum_crc32(), Some("NhCmhg=="));
    let sha = put(Sha256).body(b"hello".to_vec().into()).send().await.unwrap();
    assert_eq!(sha.checksum_sha256(), Some("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="));
}

async fn the_default_upload_carries_a_checksum_in_its_trailer(s3: &Fixture) {
    let put = s3.put("k", noise(300_000, 5)).await;
    assert!(put.checksum_crc32().is_some());
    let range = s3.client.get_object().bucket(BUCKET).key("k").range("bytes=0-9").checksum_mode(ChecksumMode::Enabled);
    assert_eq!(range.send().await.unwrap().checksum_crc32(), None, "a range has no checksum of its own");
}

async fn a_wrong_checksum_stores_nothing(s3: &Fixture) {
    let put = || s3.client.put_object().bucket(BUCKET).key("k").body(b"hello".to_vec().into());
    assert_eq!(code(put().checksum_sha256("AAAAul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=").send().await), "BadDigest");
    assert_eq!(code(put().checksum_crc32("AAAAAA==").send().await), "BadDigest");
    assert_eq!(code(put().checksum_crc64_nvme("AAAAAAAAAAA=").send().await), "BadDigest");
    assert_eq!(code(put().content_md5("AAAAAAAAAAAAAAAAAAAAAA==").send().await), "BadDigest");
    assert_eq!(code(put().content_md5("not base64").send().await), "InvalidDigest");
    assert!(s3.keys().await.is_empty());
    put().content_md5("XUFAKrxLKna5cZ2REBfFkg==").send().await.unwrap();
    assert_eq!(s3.keys().await, ["k"]);
}

async fn a_multipart_object_has_a_checksum_of_the_asked_type(s3: &Fixture) {
    let parts = [noise(PART, 1), noise(100, 2)];
    let composite = upload(s3, ChecksumAlgorithm::Sha256, ChecksumType::Composite, &parts).await;
    assert!(composite.checksum_sha256().unwrap().ends_with("-2"));
    assert_eq!(composite.checksum_type(), Some(&ChecksumType::Composite));
    assert!(s3.read("k").await == parts.concat());

    let full = upload(s3, ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject, &parts).await;
    let request = s3.client.put_object().bucket(BUCKET).key("whole").checksum_algorithm(ChecksumAlgorithm::Crc64Nvme);
    let whole = request.body(parts.concat().into()).send().await.unwrap();
    assert_eq!(full.checksum_crc64_nvme(), whole.checksum_crc64_nvme());
    assert!(s3.read("k").await == parts.concat());

    let create = s3.client.create_multipart_upload().bucket(BUCKET).key("k");
    let create = create.checksum_algorithm(ChecksumAlgorithm::Sha1).checksum_type(ChecksumType::FullObject);
    assert_eq!(code(create.send().await), "InvalidRequest");
}

type Completed = aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadOutput;

async fn upload(s3: &Fixture, algorithm: ChecksumAlgorithm, kind: ChecksumType, parts: &[Vec<u8>]) -> Completed {
    let create = s3.client.create_multipart_upload().bucket(BUCKET).key("k");
    let created = create.checksum_algorithm(algorithm.clone()).checksum_type(kind).send().await.unwrap();
    let id = created.upload_id().unwrap();
    let mut done = CompletedMultipartUpload::builder();
    for (number, body) in (1..).zip(parts) {
        let request = s3.client.upload_part().bucket(BUCKET).key("k").upload_id(id).part_number(number);
        let part = request.checksum_algorithm(algorithm.clone()).body(body.clone().into()).send().await.unwrap();
        let listed = CompletedPart::builder().part_number(number).set_e_tag(part.e_tag);
        let listed = listed.set_checksum_sha256(part.checksum_sha256).set_checksum_crc64_nvme(part.checksum_crc64_nvme);
        done = done.parts(listed.build());
    }
    let complete = s3.client.complete_multipart_upload().bucket(BUCKET).key("k").upload_id(id);
    complete.multipart_upload(done.build()).send().await.unwrap()
}

async fn a_part_with_a_wrong_checksum_is_refused(s3: &Fixture) {
    let id = s3.create_upload("k").await;
    let part = s3.client.upload_part().bucket(BUCKET).key("k").upload_id(&id).part_number(1);
    assert_eq!(code(part.checksum_crc32("AAAAAA==").body(b"hello".to_vec().into()).send().await), "BadDigest");
    let listed = s3.client.list_parts().bucket(BUCKET).key("k").upload_id(&id).send().await.unwrap();
    assert!(listed.parts().is_empty());
}
