//! Multipart uploads.

use aws_sdk_s3::types::CompletedPart;

use crate::fixture::{BUCKET, Fixture, PART, code, completed, noise, on_both_storages};

on_both_storages!(
    parts_become_one_object_with_the_etag_that_s3_makes,
    parts_are_read_one_by_one,
    a_part_sent_again_replaces_itself,
    what_cannot_be_completed_is_refused_and_can_be_mended,
    an_aborted_upload_is_gone,
    parts_and_uploads_are_listed_in_pages,
    parts_are_copied_from_ranges,
);

async fn parts_become_one_object_with_the_etag_that_s3_makes(s3: &Fixture) {
    let create =
        s3.client.create_multipart_upload().bucket(BUCKET).key("k").content_type("text/csv").metadata("a", "b");
    let id = create.tagging("t=1").send().await.unwrap().upload_id.unwrap();
    let bodies = [vec![0_u8; PART], vec![1_u8; PART + 3], vec![2_u8; 5]];
    let mut parts = Vec::new();
    for (number, body) in [(3, &bodies[2]), (1, &bodies[0]), (2, &bodies[1])] {
        parts.push(s3.upload_part("k", &id, number, body.clone()).await);
    }
    assert!(s3.keys().await.is_empty(), "nothing is visible before it is complete");
    parts.sort_by_key(CompletedPart::part_number);
    let complete = s3.client.complete_multipart_upload().bucket(BUCKET).key("k").upload_id(&id);
    let done = complete.multipart_upload(completed(parts)).send().await.unwrap();
    // md5 of the three parts' MD5s, computed with another tool.
    assert_eq!(done.e_tag(), Some("\"861f1bb699b38fb795ec2fcbc772bede-3\""));
    let got = s3.get("k").await;
    assert_eq!((got.content_type(), got.tag_count()), (Some("text/csv"), Some(1)));
    assert_eq!(got.metadata().unwrap()["a"], "b");
    assert!(got.body.collect().await.unwrap().to_vec() == bodies.concat());
    let across = format!("bytes={}-{}", PART - 2, PART + 1);
    let got = s3.client.get_object().bucket(BUCKET).key("k").range(across).send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), [0, 0, 1, 1]);
}

async fn parts_are_read_one_by_one(s3: &Fixture) {
    let parts = [noise(PART, 1), noise(77, 2)];
    s3.put_in_parts("k", &parts).await;
    for (number, body) in (1..).zip(&parts) {
        let got = s3.client.get_object().bucket(BUCKET).key("k").part_number(number).send().await.unwrap();
        assert_eq!(got.parts_count(), Some(2));
        assert!(got.body.collect().await.unwrap().to_vec() == *body);
    }
    let head = s3.client.head_object().bucket(BUCKET).key("k").part_number(1).send().await.unwrap();
    assert_eq!((head.content_length(), head.parts_count()), (i64::try_from(PART).ok(), Some(2)));
    let third = s3.client.get_object().bucket(BUCKET).key("k").part_number(3).send().await;
    assert_eq!(code(third), "InvalidPartNumber");
}

async fn a_part_sent_again_replaces_itself(s3: &Fixture) {
    let id = s3.create_upload("k").await;
    let first = s3.upload_part("k", &id, 1, b"first".to_vec()).await;
    let second = s3.upload_part("k", &id, 1, b"second".to_vec()).await;
    let complete = |part| {
        let request = s3.client.complete_multipart_upload().bucket(BUCKET).key("k").upload_id(&id);
        request.multipart_upload(completed(vec![part])).send()
    };
    assert_eq!(code(complete(first).await), "InvalidPart");
    complete(second).await.unwrap();
    assert_eq!(s3.read("k").await, b"second");
}

async fn what_cannot_be_completed_is_refused_and_can_be_mended(s3: &Fixture) {
    let id = s3.create_upload("k").await;
    let small = s3.upload_part("k", &id, 1, vec![1; PART - 1]).await;
    let last = s3.upload_part("k", &id, 2, vec![2; 10]).await;
    let complete = |parts: Vec<CompletedPart>| {
        let request = s3.client.complete_multipart_upload().bucket(BUCKET).key("k").upload_id(&id);
        request.multipart_upload(completed(parts)).send()
    };
    assert_eq!(code(complete(vec![small.clone(), last.clone()]).await), "EntityTooSmall");
    assert_eq!(code(complete(vec![last.clone(), small.clone()]).await), "InvalidPartOrder");
    assert_eq!(code(complete(vec![small.clone(), small]).await), "InvalidPartOrder");
    let unknown = CompletedPart::builder().part_number(7).e_tag("\"x\"").build();
    assert_eq!(code(complete(vec![unknown]).await), "InvalidPart");
    assert_eq!(code(complete(vec![]).await), "MalformedXML");
    let part = s3.client.upload_part().bucket(BUCKET).key("k").upload_id(&id).part_number(10_001).send().await;
    assert_eq!(code(part), "InvalidArgument");
    complete(vec![last]).await.unwrap();
    assert_eq!(s3.read("k").await, [2; 10]);
}

async fn an_aborted_upload_is_gone(s3: &Fixture) {
    let id = s3.create_upload("k").await;
    let part = s3.upload_part("k", &id, 1, b"x".to_vec()).await;
    let abort = || s3.client.abort_multipart_upload().bucket(BUCKET).key("k").upload_id(&id).send();
    abort().await.unwrap();
    assert_eq!(code(abort().await), "NoSuchUpload");
    let complete = s3.client.complete_multipart_upload().bucket(BUCKET).key("k").upload_id(&id);
    assert_eq!(code(complete.multipart_upload(completed(vec![part])).send().await), "NoSuchUpload");
    let again = s3.client.upload_part().bucket(BUCKET).key("k").upload_id(&id).part_number(1).send().await;
    assert_eq!(code(again), "NoSuchUpload");
}

async fn parts_and_uploads_are_listed_in_pages(s3: &Fixture) {
    let id = s3.create_upload("p/k").await;
    for (number, size) in [(1, 1), (3, 3), (9, 9)] {
        s3.upload_part("p/k", &id, number, vec![7; size]).await;
    }
    let list = || s3.client.list_parts().bucket(BUCKET).key("p/k").upload_id(&id).max_parts(2);
    let first = list().send().await.unwrap();
    let numbers: Vec<_> =
        first.parts().iter().map(|part| (part.part_number().unwrap(), part.size().unwrap())).collect();
    assert_eq!(numbers, [(1, 1), (3, 3)]);
    assert_eq!(first.is_truncated(), Some(true));
    let second = list().set_part_number_marker(first.next_part_number_marker).send().await.unwrap();
    assert_eq!((second.parts()[0].part_number(), second.is_truncated()), (Some(9), Some(false)));

    for key in ["p/k", "q/1", "q/2", "r"] {
        s3.create_upload(key).await;
    }
    let list = || s3.client.list_multipart_uploads().bucket(BUCKET).delimiter("/").max_uploads(2);
    let first = list().send().await.unwrap();
    let groups: Vec<_> = first.common_prefixes().iter().map(|group| group.prefix().unwrap()).collect();
    assert_eq!((groups, first.is_truncated()), (vec!["p/", "q/"], Some(true)));
    let second = list().set_key_marker(first.next_key_marker).send().await.unwrap();
    let keys: Vec<_> = second.uploads().iter().map(|upload| upload.key().unwrap()).collect();
    assert_eq!((keys, second.is_truncated()), (vec!["r"], Some(false)));
    let inner = s3.client.list_multipart_uploads().bucket(BUCKET).prefix("p/").send().await.unwrap();
    assert_eq!(inner.uploads().len(), 2);
}

async fn parts_are_copied_from_ranges(s3: &Fixture) {
    let source = noise(PART * 2, 9);
    let etag = s3.put("source", source.clone()).await.e_tag.unwrap();
    let id = s3.create_upload("k").await;
    let copy = |number: i32, range: String| {
        let request = s3.client.upload_part_copy().bucket(BUCKET).key("k").upload_id(&id).part_number(number);
        request.copy_source("data/source").copy_source_range(range)
    };
    let ranges = [format!("bytes=1-{PART}"), format!("bytes={}-{}", PART + 1, PART * 2 - 1)];
    let mut parts = Vec::new();
    for (number, range) in (1..).zip(ranges) {
        let copied = copy(number, range).copy_source_if_match(&etag).send().await.unwrap();
        let part_etag = copied.copy_part_result.unwrap().e_tag;
        parts.push(CompletedPart::builder().part_number(number).set_e_tag(part_etag).build());
    }
    let refused = copy(3, format!("bytes=0-{}", PART * 2)).send().await;
    assert_eq!(code(refused), "InvalidRange");
    assert_eq!(code(copy(3, "bytes=5-".into()).send().await), "InvalidArgument");
    let refused = copy(3, "bytes=0-1".into()).copy_source_if_match("\"other\"").send().await;
    assert_eq!(code(refused), "PreconditionFailed");
    s3.client.delete_object().bucket(BUCKET).key("source").send().await.unwrap();
    let complete = s3.client.complete_multipart_upload().bucket(BUCKET).key("k").upload_id(&id);
    complete.multipart_upload(completed(parts)).send().await.unwrap();
    assert!(s3.read("k").await == source[1..]);
}
