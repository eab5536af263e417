//! Fuzzing: properties that hold for any bytes, one function per target of `fuzz/`, which panics if
//! its property is violated. Properties of internal items are in this folder's other files, which
//! are modules of their layers; a unit test replays the corpus.

use crate::config::Config;
use crate::credentials::{self, ClusterCredentials};

macro_rules! targets {
    ($( #[doc = $doc:literal] $(#[cfg($cfg:meta)])? $name:ident: $property:path; )*) => {
        $( #[doc = $doc] $(#[cfg($cfg)])? pub fn $name(data: &[u8]) { $property(data) } )*

        #[cfg(test)]
        const TARGETS: &[(&str, fn(&[u8]))] =
            &[ $( $(#[cfg($cfg)])? (stringify!($name), $name), )* ];
    };
}

targets! {
    /// Every type of the API.
    decoders: crate::api::round_trip_tests::any_type;
    /// Request and response bodies of every operation.
    operations: crate::api::round_trip_tests::any_operation;
    /// Ids in request paths.
    paths: crate::api::round_trip_tests::any_path;
    /// Credential files.
    credential_file: credential_file_is_read;
    /// Records of a token store.
    record: crate::auth::fuzzing::any_record;
    /// Access tokens that are JWTs.
    jwt: crate::auth::fuzzing::any_jwt;
    /// Responses of the token endpoint.
    token_response: crate::transport::fuzzing::any_token_response;
    /// `Retry-After` and `Date`.
    headers: crate::transport::fuzzing::any_header;
    /// Reading responses: size limits, CSV, error responses.
    response: crate::transport::fuzzing::any_response;
    /// The accessors of values in C.
    #[cfg(feature = "capi")]
    c_value: crate::ffi::fuzzing::any_value;
    /// Building objects in C.
    #[cfg(feature = "capi")]
    c_object: crate::ffi::fuzzing::any_object;
    /// Settings in C.
    #[cfg(feature = "capi")]
    c_config: crate::ffi::fuzzing::any_settings;
}

/// A file that is read can be written and read again; an error names its line.
fn credential_file_is_read(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match credentials::parse(text) {
        Ok(variables) => {
            let written = ClusterCredentials::from_variables(variables.clone())
                .to_env_text()
                .unwrap();
            assert_eq!(credentials::parse(&written).as_ref(), Ok(&variables));
            let read = |name: &str| Ok(variables.get(name).map(|value| value.expose().to_owned()));
            if let Err(error) = Config::from_variables(read).check_variables() {
                assert!(error.message().starts_with("the variable"), "{error}");
            }
        }
        Err(problem) => {
            let rest = problem.strip_prefix("line ").unwrap();
            let line = rest.split([' ', ':']).next().unwrap();
            let lines = text.matches('\n').count() + 1;
            assert!((1..=lines).contains(&line.parse().unwrap()), "{problem}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn fuzz() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
    }

    #[test]
    fn the_corpus_holds() {
        for (name, target) in TARGETS {
            let mut files = 0;
            for file in fs::read_dir(fuzz().join("corpus").join(name)).unwrap() {
                let path = file.unwrap().path();
                // Shown where the target panics.
                println!("{}", path.display());
                target(&fs::read(&path).unwrap());
                files += 1;
            }
            assert!(files > 0, "{name} has no corpus");
        }
    }

    #[cfg(feature = "capi")]
    #[test]
    fn every_target_is_built() {
        let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
        let built = manifest
            .lines()
            .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/"))
            .map(|file| file.strip_suffix(".rs\"").unwrap());
        let mut built: Vec<_> = built.collect();
        let mut known: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
        built.sort_unstable();
        known.sort_unstable();
        assert_eq!(built, known);
        for name in known {
            let source = fuzz().join("fuzz_targets").join(format!("{name}.rs"));
            let source = fs::read_to_string(source).unwrap();
            assert!(source.contains(&format!("fuzzing::{name}(")), "{name}");
        }
    }
}
