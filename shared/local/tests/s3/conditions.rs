//! Conditional reads and writes.

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use futures_util::future::join_all;

use crate::fixture::{BUCKET, Fixture, code, completed, on_both_storages, status};

on_both_storages!(
    of_many_creators_exactly_one_wins,
    of_many_replacers_of_one_version_exactly_one_wins,
    of_many_completed_uploads_exactly_one_creates,
    a_write_conditioned_on_a_version_needs_that_version,
    reads_follow_their_conditions,
);

async fn of_many_creators_exactly_one_wins(s3: &Fixture) {
    for round in 0..5 {
        let key = format!("new-{round}");
        let puts = (0..24).map(|i| {
            let request = s3.client.put_object().bucket(BUCKET).key(&key).if_none_match("*");
            request.body(format!("writer {i}").into_bytes().into()).send()
        });
        let results = join_all(puts).await;
        let winners: Vec<usize> = (0..24).filter(|i| results[*i].is_ok()).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(s3.read(&key).await, format!("writer {}", winners[0]).into_bytes());
        assert!(results.into_iter().filter(Result::is_err).all(|lost| code(lost) == "PreconditionFailed"));
    }
}

async fn of_many_replacers_of_one_version_exactly_one_wins(s3: &Fixture) {
    let etag = s3.put("k", "first").await.e_tag.unwrap();
    let puts = (0..24).map(|i| {
        let request = s3.client.put_object().bucket(BUCKET).key("k").if_match(&etag);
        request.body(format!("writer {i}").into_bytes().into()).send()
    });
    let results = join_all(puts).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
}

async fn of_many_completed_uploads_exactly_one_creates(s3: &Fixture) {
    let mut uploads = Vec::new();
    for i in 0..8_u8 {
        let id = s3.create_upload("k").await;
        let part = s3.upload_part("k", &id, 1, vec![i; 10]).await;
        uploads.push((id, part));
    }
    let completions = uploads.into_iter().map(|(id, part)| {
        let request = s3.client.complete_multipart_upload().bucket(BUCKET).key("k").upload_id(id).if_none_match("*");
        request.multipart_upload(completed(vec![part])).send()
    });
    let results = join_all(completions).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
}

async fn a_write_conditioned_on_a_version_needs_that_version(s3: &Fixture) {
    let put = |key: &str, etag: &str| s3.client.put_object().bucket(BUCKET).key(key).if_match(etag).send();
    assert_eq!(code(put("missing", "\"x\"").await), "NoSuchKey");
    let etag = s3.put("k", "one").await.e_tag.unwrap();
    assert_eq!(code(put("k", "\"another\"").await), "PreconditionFailed");
    assert_eq!(s3.read("k").await, b"one");
    put("k", &etag).await.unwrap();
    let delete = |etag: &str| s3.client.delete_object().bucket(BUCKET).key("k").if_match(etag).send();
    assert_eq!(code(delete(&etag).await), "PreconditionFailed");
    delete("*").await.unwrap();
    let named = s3.client.put_object().bucket(BUCKET).key("k").if_none_match(&etag).send().await;
    assert_eq!(code(named), "NotImplemented");
}

async fn reads_follow_their_conditions(s3: &Fixture) {
    let put = s3.client.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(b"body")).send().await;
    let etag = put.unwrap().e_tag.unwrap();
    let (before, after) = (DateTime::from_secs(1_000_000_000), DateTime::from_secs(4_000_000_000));
    let get = || s3.client.get_object().bucket(BUCKET).key("k");
    let head = || s3.client.head_object().bucket(BUCKET).key("k");
    assert_eq!(status(get().if_match(&etag).send().await), 200);
    assert_eq!(status(get().if_match("\"other\"").send().await), 412);
    assert_eq!(status(get().if_none_match(&etag).send().await), 304);
    assert_eq!(status(get().if_none_match("\"other\"").send().await), 200);
    assert_eq!(status(get().if_modified_since(before).send().await), 200);
    assert_eq!(status(get().if_modified_since(after).send().await), 304);
    assert_eq!(status(get().if_unmodified_since(before).send().await), 412);
    assert_eq!(status(get().if_match(&etag).if_unmodified_since(before).send().await), 200);
    assert_eq!(status(get().if_none_match("\"other\"").if_modified_since(after).send().await), 200);
    assert_eq!(status(head().if_match("\"other\"").send().await), 412);
    assert_eq!(status(head().if_none_match(&etag).send().await), 304);
    assert_eq!(status(head().if_match(&etag).send().await), 200);
}
