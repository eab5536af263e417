//! Completes the C header that cbindgen generates: version numbers, `CAMUNDA_NODISCARD`, and the check
//! of the ABI version.

use std::fmt::Write as _;

use crate::c_bodies;

/// Text before the first declaration.
pub(crate) fn preamble(version: &str) -> String {
    let parts: Vec<u32> = version
        .split(['.', '-', '+'])
        .take(3)
        .map(|part| part.parse().expect("the version has three numbers"))
        .collect();
    let [major, minor, patch] = parts[..] else {
        panic!("{version}: expected MAJOR.MINOR.PATCH")
    };
    assert!(
        minor < 1000 && patch < 1000,
        "{version}: a number is above 999"
    );
    let number = major * 1_000_000 + minor * 1000 + patch;
    format!(
        r#"
/** The version of this header. camunda_version() returns that of the library. */
#define CAMUNDA_VERSION "{version}"

/** The major version of this header, a number for `#if`. */
#define CAMUNDA_VERSION_MAJOR {major}

/** The minor version of this header, a number for `#if`. */
#define CAMUNDA_VERSION_MINOR {minor}

/** The patch version of this header, a number for `#if`. */
#define CAMUNDA_VERSION_PATCH {patch}

/**
 * The version of this header as one number for `#if`: 1000000 times the major version, plus 1000 times
 * the minor version, plus the patch version.
 */
#define CAMUNDA_VERSION_NUMBER {number}

/**
 * Attribute of the functions that can fail or return an object that the caller owns: the compiler
 * warns if a program ignores the result. To replace it, define it before the `#include`, for example
 * as nothing.
 *
 * To ignore a result deliberately, cast it to void; gcc accepts that from C23 on only. In older C,
 * assign the result to a variable.
 */
#ifndef CAMUNDA_NODISCARD
#if defined(__cplusplus) && __cplusplus >= 201703L
#define CAMUNDA_NODISCARD [[nodiscard]]
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202000L
#define CAMUNDA_NODISCARD [[nodiscard]]
#elif defined(_MSVC_LANG) && _MSVC_LANG >= 201703L
#define CAMUNDA_NODISCARD [[nodiscard]]
#elif defined(__GNUC__)
#define CAMUNDA_NODISCARD __attribute__((warn_unused_result))
#else
#define CAMUNDA_NODISCARD
#endif
#endif"#
    )
}

/// Adds to the header of cbindgen what cbindgen cannot generate.
pub(crate) fn complete(plain: &str) -> String {
    let mut text = String::with_capacity(plain.len() + 8192);
    for line in plain.split_inclusive('\n') {
        if must_be_used(line) {
            text.push_str("CAMUNDA_NODISCARD\n");
        }
        text.push_str(line);
    }
    text = with_struct_tags(&text);
    let end = text
        .rfind("#ifdef __cplusplus\n}")
        .expect("the header closes `extern \"C\"`");
    text.insert_str(end, &format!("{}{ABI_CHECK}", c_bodies::constants()));
    text
}

/// Gives each struct the tag of its type, so that it can be declared without the header.
fn with_struct_tags(text: &str) -> String {
    const UNNAMED: &str = "typedef struct {";
    let mut parts = text.split(UNNAMED);
    let mut tagged = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, end) = part.split_once("\n} ").expect("the struct ends");
        let (name, _) = end.split_once(';').expect("the struct has a type");
        write!(tagged, "typedef struct {name} {{{part}").unwrap();
    }
    tagged
}

/// Returns whether a line is the first of a prototype whose result must not be ignored: a status, or an
/// object that the caller owns.
fn must_be_used(line: &str) -> bool {
    // It reads the status of an error and cannot fail.
    if line.starts_with("camunda_status camunda_error_status(") {
        return false;
    }
    let Some((before, _)) = line.split_once('(') else {
        return false;
    };
    match before.split_once(' ') {
        Some(("camunda_status", name)) => name.starts_with("camunda_"),
        Some((kind, name)) => kind.starts_with("camunda_") && name.starts_with("*camunda_"),
        None => false,
    }
}

/// Functions that replace those with which a program begins, so that one that was compiled for another
/// ABI does not use the library.
const ABI_CHECK: &str = r"/** @cond */
#if defined(__cplusplus) && __cplusplus >= 201103L
#define CAMUNDA_NULL nullptr
#else
#define CAMUNDA_NULL NULL
#endif

CAMUNDA_NODISCARD
static inline camunda_config *camunda_config_new_checked(void) {
  if (camunda_abi_version() != CAMUNDA_ABI_VERSION) return CAMUNDA_NULL;
  return camunda_config_new();
}

CAMUNDA_NODISCARD
static inline camunda_status camunda_config_from_env_checked(
    camunda_config **config, camunda_error **error) {
  const camunda_status status = camunda_abi_check(CAMUNDA_ABI_VERSION, error);
  if (status == CAMUNDA_STATUS_OK) return camunda_config_from_env(config, error);
  if (config != CAMUNDA_NULL) *config = CAMUNDA_NULL;
  return status;
}

CAMUNDA_NODISCARD
static inline camunda_status camunda_config_from_env_file_checked(
    const char *path, camunda_config **config, camunda_error **error) {
  const camunda_status status = camunda_abi_check(CAMUNDA_ABI_VERSION, error);
  if (status == CAMUNDA_STATUS_OK) return camunda_config_from_env_file(path, config, error);
  if (config != CAMUNDA_NULL) *config = CAMUNDA_NULL;
  return status;
}

CAMUNDA_NODISCARD
static inline camunda_status camunda_config_from_credentials_checked(
    const camunda_value *credentials, camunda_config **config, camunda_error **error) {
  const camunda_status status = camunda_abi_check(CAMUNDA_ABI_VERSION, error);
  if (status == CAMUNDA_STATUS_OK) {
    return camunda_config_from_credentials(credentials, config, error);
  }
  if (config != CAMUNDA_NULL) *config = CAMUNDA_NULL;
  return status;
}

CAMUNDA_NODISCARD
static inline camunda_status camunda_admin_new_checked(
    const camunda_config *config, camunda_admin **admin, camunda_error **error) {
  const camunda_status status = camunda_abi_check(CAMUNDA_ABI_VERSION, error);
  if (status == CAMUNDA_STATUS_OK) return camunda_admin_new(config, admin, error);
  if (admin != CAMUNDA_NULL) *admin = CAMUNDA_NULL;
  return status;
}

CAMUNDA_NODISCARD
static inline camunda_status camunda_doctor_checked(
    const camunda_config *config, const camunda_call_options *call, camunda_value **report,
    camunda_error **error) {
  const camunda_status status = camunda_abi_check(CAMUNDA_ABI_VERSION, error);
  if (status == CAMUNDA_STATUS_OK) return camunda_doctor(config, call, report, error);
  if (report != CAMUNDA_NULL) *report = CAMUNDA_NULL;
  return status;
}

#undef CAMUNDA_NULL
#define camunda_config_new camunda_config_new_checked
#define camunda_config_from_env camunda_config_from_env_checked
#define camunda_config_from_env_file camunda_config_from_env_file_checked
#define camunda_config_from_credentials camunda_config_from_credentials_checked
#define camunda_admin_new camunda_admin_new_checked
#define camunda_doctor camunda_doctor_checked
/** @endcond */

";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preamble_has_the_version_as_text_and_as_numbers() {
        let text = preamble("2.13.4-rc.1");
        for line in [
            "#define CAMUNDA_VERSION \"2.13.4-rc.1\"",
            "#define CAMUNDA_VERSION_MAJOR 2",
            "#define CAMUNDA_VERSION_MINOR 13",
            "#define CAMUNDA_VERSION_PATCH 4",
            "#define CAMUNDA_VERSION_NUMBER 2013004",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn structs_have_the_tag_of_their_type() {
        let plain = "typedef struct a a;\ntypedef struct {\n  int b;\n} c;\ntypedef struct {\n  int d;\n} e;\n";
        assert_eq!(
            with_struct_tags(plain),
            "typedef struct a a;\ntypedef struct c {\n  int b;\n} c;\ntypedef struct e {\n  int d;\n} e;\n"
        );
    }

    #[test]
    fn results_that_fail_or_are_owned_must_be_used() {
        for (line, expected) in [
            (
                "camunda_status camunda_cluster_get(const camunda_admin *admin,\n",
                true,
            ),
            ("camunda_object *camunda_object_new(void);\n", true),
            (
                "camunda_status camunda_error_status(const camunda_error *error);\n",
                false,
            ),
            (
                "const char *camunda_error_message(const camunda_error *error);\n",
                false,
            ),
            (
                "const camunda_value *camunda_value_get(const camunda_value *value,\n",
                false,
            ),
            ("void camunda_value_free(camunda_value *value);\n", false),
            (
                "size_t camunda_value_len(const camunda_value *value);\n",
                false,
            ),
            (" * camunda_status camunda_cluster_get()\n", false),
            ("typedef int32_t camunda_status;\n", false),
            ("typedef struct camunda_admin camunda_admin;\n", false),
        ] {
            assert_eq!(must_be_used(line), expected, "{line}");
        }
    }
}
