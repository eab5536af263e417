//! Parses the C header, and generates C tests that call each of its functions with invalid arguments.

use std::fmt::Write as _;
use std::fs;

use crate::tools::top;

/// A function of the header.
pub(crate) struct Function {
    pub(crate) name: String,
    returns: String,
    parameters: Vec<Parameter>,
}

struct Parameter {
    /// The type without spaces around `*`, for example `const char*`.
    kind: String,
    name: String,
}

impl Parameter {
    fn is_text(&self) -> bool {
        self.kind == "const char*"
    }

    fn is_pointer(&self) -> bool {
        self.kind.ends_with('*') || self.kind.ends_with("_fn")
    }

    /// Returns whether it is an out pointer, for example `camunda_value**`.
    fn is_out(&self) -> bool {
        self.kind.ends_with("**") && self.kind.starts_with("camunda_")
    }
}

impl Function {
    fn is_free(&self) -> bool {
        self.name.ends_with("_free")
    }

    fn can_fail(&self) -> bool {
        self.parameters
            .last()
            .is_some_and(|last| last.kind == "camunda_error**")
    }
}

/// Returns the functions that the header declares, sorted by name.
pub(crate) fn functions() -> Vec<Function> {
    let text = fs::read_to_string(top().join("include/camunda_admin.h")).unwrap();
    let mut code = String::new();
    let mut in_comment = false;
    // The functions behind `@cond` replace those of the library under the same names.
    let (declarations, _) = text.split_once("/** @cond */").unwrap();
    for line in declarations.lines() {
        let trimmed = line.trim();
        if trimmed == "CAMUNDA_NODISCARD" {
            continue;
        }
        in_comment |= trimmed.starts_with("/*");
        if !in_comment && !trimmed.starts_with('#') {
            code.push_str(trimmed);
            code.push(' ');
        }
        in_comment &= !trimmed.ends_with("*/");
    }
    let mut functions: Vec<Function> = code
        .replace("extern \"C\" {", "")
        .split(';')
        .map(str::trim)
        .filter(|statement| statement.ends_with(')') && !statement.starts_with("typedef"))
        .map(|statement| {
            let (before, parameters) = statement.split_once('(').unwrap();
            let (returns, name) = split_name(before);
            let parameters = parameters.trim_end_matches(')');
            let parameters = match parameters {
                "void" => Vec::new(),
                list => list
                    .split(',')
                    .map(|parameter| {
                        let (kind, name) = split_name(parameter.trim());
                        Parameter { kind, name }
                    })
                    .collect(),
            };
            Function {
                name,
                returns,
                parameters,
            }
        })
        .collect();
    functions.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(
        functions.len() > 100,
        "parsed only {} functions of the header",
        functions.len()
    );
    functions
}

/// Splits `const char *key` into `const char*` and `key`.
fn split_name(declared: &str) -> (String, String) {
    let start = declared.rfind([' ', '*']).map_or(0, |at| at + 1);
    let kind = declared[..start].trim().replace(" *", "*");
    (kind, declared[start..].to_owned())
}

/// The common start of the generated tests: a valid object of each type.
const PROLOGUE: &str = r#"/* Generated from the header. */
#include "check.h"

static camunda_admin *admin;
static camunda_call_options *call;
static camunda_cancel *cancel;
static camunda_shutdown *shutdown_handle;
static camunda_config *config;
static camunda_object *object;
static camunda_value *value;
static camunda_error *sample;
static const char *const texts[] = {"x"};

static inline void log_line(void *user, int32_t level, const char *target, const char *message) {
  (void)user, (void)level, (void)target, (void)message;
}
static inline void progress(void *user, const camunda_value *resource) {
  (void)user, (void)resource;
}
static inline int32_t interrupt(void *user) { (void)user; return 0; }
static inline int32_t write_chunk(void *user, const char *data, size_t length) {
  (void)user, (void)data, (void)length;
  return 0;
}
static inline int32_t no_value(void *user, const char *name, camunda_write_fn write, void *value) {
  (void)user, (void)name, (void)write, (void)value;
  return 0;
}
static inline int32_t no_put(void *user, const char *name, const char *data, size_t length,
                             uint64_t ttl_ms) {
  (void)user, (void)name, (void)data, (void)length, (void)ttl_ms;
  return 1;
}
static inline int32_t no_lock(void *user, const char *name, uint64_t lease_ms, void **lock) {
  (void)user, (void)name, (void)lease_ms, (void)lock;
  return 1;
}
static inline void no_unlock(void *user, void *lock) { (void)user, (void)lock; }
static inline const camunda_token_store *token_store(void) {
  static const camunda_token_store table = {
    sizeof(camunda_token_store), no_value, no_put, no_lock, no_unlock, NULL, NULL, NULL,
  };
  return &table;
}

/* Creates a client without credentials for a port without a server, so that calls fail quickly and have
 * no effect. */
static void set_up(void) {
  camunda_error *error = NULL;
  config = camunda_config_new();
  CHECK_OK(camunda_config_set(config, "base_url", "http://127.0.0.1:1", &error));
  CHECK_OK(camunda_config_set(config, "oauth_url", "http://127.0.0.1:1/oauth/token", &error));
  CHECK_OK(camunda_config_set(config, "timeout", "0.05", &error));
  CHECK_OK(camunda_admin_new(config, &admin, &error));
  call = camunda_call_options_new();
  CHECK_OK(camunda_call_options_set_timeout(call, 0.05, &error));
  cancel = camunda_cancel_new();
  shutdown_handle = camunda_shutdown_new();
  object = camunda_object_new();
  CHECK_OK(camunda_value_parse("{\"a\":1}", 7, &value, &error));
  camunda_value *none = NULL;
  CHECK_INT(camunda_cluster_get(admin, NULL, "", &none, &sample), CAMUNDA_STATUS_INVALID_ARGUMENT);
  CHECK(none == NULL && sample != NULL);
}

static void tear_down(void) {
  camunda_admin_free(admin);
  camunda_call_options_free(call);
  camunda_cancel_free(cancel);
  camunda_shutdown_free(shutdown_handle);
  camunda_config_free(config);
  camunda_object_free(object);
  camunda_value_free(value);
  camunda_error_free(sample);
}

/* Checks that an error is set if and only if the status is not CAMUNDA_STATUS_OK. */
static void check_status(const char *name, camunda_status status, const camunda_error *error) {
  check_case = name;
  if ((status == CAMUNDA_STATUS_OK) != (error == NULL) || camunda_error_status(error) != status) {
    check_fail(__FILE__, __LINE__, "status %d and error %d", (int)status,
               (int)camunda_error_status(error));
  }
  if (error != NULL && camunda_error_message(error) == NULL) {
    check_fail(__FILE__, __LINE__, "the error has no message");
  }
}
"#;

/// Returns a valid argument for a parameter.
fn good(parameter: &Parameter) -> String {
    match parameter.kind.as_str() {
        "const camunda_admin*" => "admin",
        "const camunda_call_options*" | "camunda_call_options*" => "call",
        "const camunda_cancel*" => "cancel",
        "const camunda_shutdown*" => "shutdown_handle",
        "const camunda_config*" | "camunda_config*" => "config",
        "const camunda_object*" | "camunda_object*" => "object",
        "const camunda_value*" => "value",
        "const camunda_error*" => "sample",
        // A token requires a token endpoint.
        "const camunda_token*" => "NULL",
        "const char*const*" | "const char*const *" => "texts",
        "const char*" if parameter.name == "json" => "\"{}\"",
        "const char*" if parameter.name == "method" => "\"GET\"",
        "const char*" if parameter.name == "path" => "\"/nowhere/at/all\"",
        "const char*" => "\"x\"",
        "camunda_log_fn" => "log_line",
        "camunda_progress_fn" => "progress",
        "camunda_interrupt_check_fn" => "interrupt",
        "camunda_write_fn" => "write_chunk",
        "const camunda_token_store*" => "token_store()",
        "size_t*" | "int64_t*" => return format!("&out_{}", parameter.name),
        "void*" => "NULL",
        "size_t" if parameter.name == "json_len" => "2",
        "size_t" => "1",
        "double" => "0.05",
        "int64_t" | "int32_t" | "camunda_status" => "1",
        "uint32_t" => "CAMUNDA_ABI_VERSION",
        "bool" => "true",
        kind if kind.ends_with("**") => return format!("&out_{}", parameter.name),
        kind => panic!("no argument is defined for the type {kind}"),
    }
    .to_owned()
}

/// Appends a call of a function with replaced arguments, and the checks of its result.
fn push_call(
    text: &mut String,
    function: &Function,
    replaced: &dyn Fn(usize, &Parameter) -> Option<String>,
    expectation: &str,
) {
    writeln!(text, "  {{").unwrap();
    let mut arguments = Vec::new();
    let mut clean = String::new();
    for (index, parameter) in function.parameters.iter().enumerate() {
        let replacement = replaced(index, parameter);
        if parameter.is_out() && replacement.is_none() {
            let kind = parameter.kind.trim_end_matches("**");
            let name = &parameter.name;
            // An arbitrary pointer, which the function must overwrite.
            writeln!(text, "    {kind} *out_{name} = ({kind} *)(void *)&call;").unwrap();
            writeln!(clean, "    {kind}_free(out_{name});").unwrap();
        }
        if parameter.kind == "const char**" && replacement.is_none() {
            writeln!(text, "    const char *out_{} = \"x\";", parameter.name).unwrap();
            writeln!(clean, "    (void)out_{};", parameter.name).unwrap();
        }
        if let ("int64_t*" | "size_t*", None) = (parameter.kind.as_str(), &replacement) {
            let kind = parameter.kind.trim_end_matches('*');
            writeln!(text, "    {kind} out_{} = 0;", parameter.name).unwrap();
            writeln!(clean, "    (void)out_{};", parameter.name).unwrap();
        }
        arguments.push(replacement.unwrap_or_else(|| good(parameter)));
    }
    let call = format!("{}({})", function.name, arguments.join(", "));
    let name = &function.name;
    if function.returns == "camunda_status" && function.can_fail() {
        writeln!(text, "    const camunda_status status = {call};").unwrap();
        if arguments.last().is_some_and(|last| last == "&out_error") {
            writeln!(text, "    check_status(\"{name}\", status, out_error);").unwrap();
        }
        writeln!(text, "{expectation}").unwrap();
        for parameter in &function.parameters {
            let out = format!("out_{}", parameter.name);
            if parameter.is_out()
                && parameter.name != "error"
                && arguments.contains(&format!("&{out}"))
            {
                writeln!(
                    text,
                    "    if (status != CAMUNDA_STATUS_OK) CHECK({out} == NULL);"
                )
                .unwrap();
            }
        }
        writeln!(text, "    (void)status;").unwrap();
    } else if function.returns == "void" {
        writeln!(text, "    check_case = \"{name}\";\n    {call};").unwrap();
    } else if function.name.ends_with("_new") {
        let kind = function.returns.trim_end_matches('*');
        writeln!(
            text,
            "    check_case = \"{name}\";\n    {kind}_free({call});"
        )
        .unwrap();
    } else {
        writeln!(text, "    check_case = \"{name}\";\n    (void){call};").unwrap();
    }
    writeln!(text, "{clean}  }}").unwrap();
}

pub(crate) fn null_test() -> String {
    let mut text = String::from(PROLOGUE);
    text.push_str("\nint main(void) {\n  set_up();\n");
    for function in functions() {
        let all =
            |_: usize, parameter: &Parameter| parameter.is_pointer().then(|| "NULL".to_owned());
        let expectation = if function
            .parameters
            .iter()
            .any(|parameter| parameter.is_out() && parameter.name != "error")
            || function.parameters.iter().any(Parameter::is_text)
        {
            "    CHECK_INT(status, CAMUNDA_STATUS_INVALID_ARGUMENT);"
        } else {
            ""
        };
        push_call(&mut text, &function, &all, expectation);
        if function.is_free() {
            continue;
        }
        for index in 0..function.parameters.len() {
            let parameter = &function.parameters[index];
            if !parameter.is_pointer() {
                continue;
            }
            let one = |at: usize, _: &Parameter| (at == index).then(|| "NULL".to_owned());
            // Handles, strings and out pointers are required. All other pointers are optional.
            let required = match parameter.kind.as_str() {
                "camunda_error**" | "const camunda_call_options*" | "void*" | "size_t*" => false,
                "const camunda_cancel*" | "const camunda_shutdown*" => false,
                // NULL: the settings of the environment.
                "const camunda_config*" if function.name == "camunda_doctor" => false,
                "const char*" => parameter.name != "json" && parameter.name != "audience",
                kind => !kind.ends_with("_fn") || kind == "camunda_write_fn",
            };
            let expectation = if required {
                "    CHECK_INT(status, CAMUNDA_STATUS_INVALID_ARGUMENT);"
            } else {
                ""
            };
            push_call(&mut text, &function, &one, expectation);
        }
    }
    text.push_str("  tear_down();\n  return check_finish();\n}\n");
    text
}

pub(crate) fn utf8_test() -> String {
    let mut text = String::from(PROLOGUE);
    text.push_str("\nint main(void) {\n  set_up();\n");
    for function in functions() {
        for index in 0..function.parameters.len() {
            let parameter = &function.parameters[index];
            if !parameter.is_text() && !parameter.kind.contains("const*") {
                continue;
            }
            // An invalid byte, a truncated character, an overlong encoding, an unpaired surrogate.
            for bytes in ["\\xff\\xfe", "a\\xc3", "\\xc0\\xaf", "\\xed\\xa0\\x80"] {
                let length = bytes.matches("\\x").count() + usize::from(bytes.starts_with('a'));
                let one = |at: usize, other: &Parameter| {
                    if at == index {
                        return Some(match parameter.is_text() {
                            true => format!("\"{bytes}\""),
                            false => format!("(const char *const[]){{\"{bytes}\"}}"),
                        });
                    }
                    (other.kind == "size_t" && other.name.ends_with("len") && at == index + 1)
                        .then(|| length.to_string())
                };
                push_call(
                    &mut text,
                    &function,
                    &one,
                    "    CHECK_INT(status, CAMUNDA_STATUS_INVALID_ARGUMENT);",
                );
            }
        }
    }
    text.push_str("  tear_down();\n  return check_finish();\n}\n");
    text
}
