//! What is masked, what is not, and that nothing known ever leaves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use honk_protocol::log::MAX_LINE_BYTES;
use proptest::prelude::*;

use super::*;
use crate::lines::{Lines, Piece};

fn masked(text: &str) -> String {
    Masks::default().apply(text).into_owned()
}

#[test]
fn the_usual_credentials_are_masked() {
    let cases = [
        ("key AKIAIOSFODNN7EXAMPLE.", "key ***."),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = ***"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG x", "AWS_SECRET_ACCESS_KEY=*** x"),
        ("secretKey: wJalrXUtnFEMI", "secretKey: ***"),
        ("Authorization: Bearer abc.def-ghi_jkl", "Authorization: Bearer ***"),
        ("-H 'authorization: Basic dXNlcjpwYXNz'", "-H 'authorization: Basic ***'"),
        ("password=hunter2&user=x", "password=***&user=x"),
        ("PASSWD = 'hunter 2' next", "PASSWD = '***' next"),
        (r#"{"password": "hun\"ter2", "user": "x"}"#, r#"{"password": "***", "user": "x"}"#),
        ("db_password: hunter2", "db_password: ***"),
        ("token=abc, api_key=def; api-key: 0123456789abcdef0", "token=***, api_key=***; api-key: ***"),
        ("Uid=honk;Pwd=hunter2;", "Uid=honk;Pwd=***;"),
        ("postgres://honk:s3cr@t@db.example:5432/x", "postgres://honk:***@db.example:5432/x"),
        ("redis://:s3cret@cache", "redis://:***@cache"),
        ("ghp_0123456789abcdefghijklmnopqrstuvwxyz", "***"),
        ("github_pat_11ABCDEFG0123456789_abcdefghijk!", "***!"),
        ("xoxb-123456789012-abcdef", "***"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN end", "jwt *** end"),
    ];
    for (text, expected) in cases {
        assert_eq!(masked(text), expected);
    }
}

#[test]
fn ordinary_lines_stay() {
    let lines = [
        "copied 1250 objects from s3://source/data to https://target.example:9000/x in 12.5 s",
        "token: expected `;` here",
        "if token == expected:",
        "see https://example.com/@honk: a page",
        "2026-01-02T03:04:05Z INFO rows=12 bearer of news",
        "-----BEGIN CERTIFICATE-----",
        "the secret of success",
        "PWD=/work OLDPWD=/",
        "",
    ];
    for line in lines {
        assert!(matches!(masked_cow(line), Cow::Borrowed(_)), "{line}: {}", masked(line));
    }
}

fn masked_cow(text: &str) -> Cow<'_, str> {
    Masks::default().apply(text)
}

#[test]
fn a_private_key_is_masked_line_by_line_and_what_follows_is_not() {
    let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ";
    let text = format!(
        "a\n-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\n\n{body}\n12:00 INFO {body}\nQQ==\n-----END RSA PRIVATE KEY-----\nb c\n"
    );
    let expected = "a\n-----BEGIN RSA PRIVATE KEY-----\r\n***\n\n***\n***\n***\n-----END RSA PRIVATE KEY-----\nb c\n";
    assert_eq!(masked(&text), expected);
    let one_line = format!("-----BEGIN PRIVATE KEY-----\\n{body}\\n-----END PRIVATE KEY-----\\n x");
    assert_eq!(masked(&one_line), "-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----\\n x");
    assert_eq!(
        masked("-----BEGIN PRIVATE KEY-----\nno key at all, sorry\nMIIE"),
        "-----BEGIN PRIVATE KEY-----\nno key at all, sorry\nMIIE"
    );
}

#[test]
fn a_known_secret_is_masked_in_every_form() {
    let secret = "pä/ss w\"rd+1?";
    let masks = Masks::new([secret]);
    let forms = [
        secret.to_owned(),
        "p%C3%A4%2Fss%20w%22rd%2B1%3F".to_owned(),
        "p%c3%a4%2fss+w%22rd%2b1%3f".to_owned(),
        STANDARD.encode(secret),
        r#"pä/ss w\"rd+1?"#.to_owned(),
        r#"p\u00e4/ss w\"rd+1?"#.to_owned(),
        r#"pä\/ss w\"rd+1?"#.to_owned(),
    ];
    for form in forms {
        let text = format!("<{form}>");
        let masked = masks.apply(&text);
        assert!(masked.starts_with("<***") && masked.len() < 8, "{form}: {masked}");
    }
    for user in ["u", "us", "use"] {
        let text = STANDARD.encode(format!("{user}:{secret}:more"));
        assert!(masks.apply(&text).contains("***"), "{user}");
    }
}

#[test]
fn every_line_of_a_secret_is_masked_and_short_ones_are_not() {
    let masks = Masks::new(["first line\r\nab\n  third line\n", "abc", ""]);
    assert_eq!(masks.apply("x first line\nab abc\nthird line"), "x ***\nab abc\n***");
    assert_eq!(format!("{:?}", Masks::default()), "Masks { known: 0, .. }");
}

fn lines(masks: &Masks, reads: &[&[u8]]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut lines = Lines::new(masks);
    for read in reads {
        lines.push(read, &mut pieces);
    }
    lines.finish(&mut pieces);
    pieces
}

#[test]
fn a_credential_longer_than_a_line_is_masked_to_its_end() {
    let text = format!("x password={} y\n", "p".repeat(100_000));
    let pieces = lines(&Masks::default(), &text.as_bytes().chunks(1000).collect::<Vec<_>>());
    let all: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
    assert!(all.starts_with("x password=***") && all.ends_with("*** y"), "{} characters", all.len());
    assert!(!all.contains("pp"));
}

#[test]
fn a_credential_is_recognised_wherever_a_long_line_is_cut() {
    for before in MAX_LINE_BYTES - 40..MAX_LINE_BYTES + 10 {
        let text = format!("{}password=geheimnis end{}\n", "- ".repeat(before / 2), " -".repeat(5000));
        let all: String =
            lines(&Masks::default(), &[text.as_bytes()]).iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(all, text.replace("geheimnis", "***").trim_end(), "{before}");
    }
}

/// Without anything that a mask itself is made of.
fn secrets() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[a-c/+ä\"]{4,12}", 1..4)
}

proptest! {
    #[test]
    fn no_known_secret_ever_leaves(
        secrets in secrets(),
        noise in proptest::collection::vec("[a-d \r\n]{0,20}", 1..6),
        filler in prop_oneof![Just(0_usize), 16_000..17_000_usize],
        size in 1..5000_usize,
    ) {
        let masks = Masks::new(&secrets);
        let mut text = "-".repeat(filler);
        for (noise, secret) in noise.iter().zip(secrets.iter().cycle()) {
            text.push_str(noise);
            text.push_str(secret);
        }
        let reads: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let mut printed = String::new();
        for piece in lines(&masks, &reads) {
            prop_assert!(piece.text.len() <= MAX_LINE_BYTES);
            printed.push_str(&piece.text);
            printed.push_str(if piece.continued { "" } else { "\n" });
        }
        for secret in &secrets {
            prop_assert!(!printed.contains(secret.as_str()), "{secret} in {printed}");
        }
    }

    #[test]
    fn text_without_secrets_is_the_same_however_it_is_read(
        text in proptest::collection::vec(any::<char>(), 0..300), long in 0..40_000_usize, size in 1..5000_usize,
    ) {
        let masks = Masks::new(["never to be seen"]);
        let text: String = text.into_iter().filter(|c| !matches!(c, '\0' | '\r')).collect();
        let text = format!("{}{text}", "ä".repeat(long));
        let reads: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let mut printed = String::new();
        for piece in lines(&masks, &reads) {
            printed.push_str(&piece.text);
            printed.push_str(if piece.continued { "" } else { "\n" });
        }
        prop_assert_eq!(printed.trim_end_matches('\n'), text.trim_end_matches('\n'));
    }
}
