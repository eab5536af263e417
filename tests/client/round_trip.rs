//! Decoding of responses: unknown fields and enum values, absent fields, unusual strings.

use camunda_admin::{ClusterComponentStatus, ErrorKind};
use camunda_admin_sandbox::{Fault, Sandbox};

use crate::{client, new_cluster};

const LIST: &str = "GET /clusters";

#[test]
fn unknown_fields_and_enum_values_are_kept() {
    let sandbox = Sandbox::start();
    sandbox.create_cluster(serde_json::json!({}));
    sandbox.add_fault(
        Fault::on(LIST)
            .extra_field("new", serde_json::json!({ "a": [1, null] }))
            .replace("/*/status/ready", serde_json::json!("Levitating")),
    );
    let clusters = client(&sandbox).clusters().list().unwrap();
    let ready = &clusters[0].status.ready;
    assert!(matches!(ready, ClusterComponentStatus::Unknown(_)));
    assert_eq!(ready.as_str(), "Levitating");
    for extra in [
        &clusters[0].extra,
        &clusters[0].status.extra,
        &clusters[0].channel.extra,
    ] {
        assert_eq!(extra.get("new").unwrap().as_str(), r#"{"a":[1,null]}"#);
    }
}

#[test]
fn list_of_ten_thousand_clusters_is_decoded() {
    let sandbox = Sandbox::start();
    sandbox.create_clusters(10_000);
    assert_eq!(client(&sandbox).clusters().list().unwrap().len(), 10_000);
}

#[test]
fn decode_error_names_the_field_and_contains_the_body() {
    for (body, part) in [
        (&b"<html><title>Oops</title></html>"[..], "an HTML page"),
        (b"Oops", "expected value"),
        (b"", "EOF"),
        (b"[{\"uuid\":\"a\"}", "EOF"),
        (b"[{\"uuid\":\"\xff\"}]", "[0].uuid: invalid unicode"),
        (b"{\"uuid\":\"a\"}", "expected a sequence"),
        (b"[{\"name\":\"a\"}]", "[0]: missing field `uuid`"),
        (
            b"[{\"uuid\":\"a\",\"status\":{\"ready\":3}}]",
            "[0].status.ready: invalid type",
        ),
    ] {
        let sandbox = Sandbox::start();
        sandbox.add_fault(Fault::on(LIST).body(body));
        let error = client(&sandbox).clusters().list().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.body(), Some(body));
    }
}

#[test]
fn csv_is_decoded_raw_and_from_a_json_string() {
    let sandbox = Sandbox::start();
    sandbox.create_cluster(serde_json::json!({ "name": "a \"quoted\" name" }));
    let admin = client(&sandbox);
    let id = new_cluster(&sandbox);
    admin.cluster(&id).delete().unwrap();
    let read = || {
        let mut text = Vec::new();
        admin.activity().csv(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    };
    let raw = read();
    assert!(raw.lines().count() >= 2, "{raw}");
    sandbox.set_csv_as_json_string(true);
    assert_eq!(read(), raw);
}

#[test]
fn call_fails_if_its_writer_fails() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let sandbox = Sandbox::start();
    let error = client(&sandbox).activity().csv(&mut Full).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}
