//! Generates the C functions of operations and waiters, and the C header.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use camunda_admin::description::{BodyKind, OPERATIONS, Operation, WAITERS, Waiter};

use crate::identifiers::{id_type, snake, without_id};
use crate::prose::{sentence, wrapped};
use crate::{Generated, NOTICE, c_bodies, c_header, root};

/// Generates `src/ffi/operations_generated.rs`: one exported function for each operation and each waiter.
pub(crate) fn operations() -> Generated {
    Generated {
        path: OPERATIONS_FILE,
        text: functions(),
    }
}

/// Generates the declarations of the C header from `src/ffi`, with `operations` instead of the file on
/// disk.
pub(crate) fn declarations(operations: &str) -> String {
    let sources = tempfile::tempdir().expect("a temporary folder can be created");
    // All of src: modules of src/ffi refer to files outside it.
    copy_folder(&root().join("src"), sources.path());
    let target = OPERATIONS_FILE.strip_prefix("src/").unwrap();
    fs::write(sources.path().join(target), operations).expect("a source file can be written");

    let mut config =
        cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml is valid");
    let conventions = config.header.unwrap_or_default();
    config.header = Some(format!("/* {NOTICE} */\n{}", conventions.trim_start()));
    config.after_includes = Some(c_header::preamble(env!("CARGO_PKG_VERSION")));
    let mut header = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(sources.path().join("ffi/mod.rs"))
        .generate()
        .expect("src/ffi can be expressed in C")
        .write(&mut header);
    String::from_utf8(header).expect("the sources are UTF-8")
}

/// Generates the C header of its declarations.
pub(crate) fn header(declarations: &str) -> Generated {
    Generated {
        path: "include/camunda_admin.h",
        text: c_header::complete(declarations),
    }
}

/// Copies the files of a folder and of the folders below it.
fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the folder can be listed") {
        let entry = entry.expect("the folder can be listed");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).expect("a temporary folder can be created");
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a source file can be copied");
        }
    }
}

/// Generates the test that causes a panic in every function that returns a status.
pub(crate) fn panics(header: &str) -> Generated {
    Generated {
        path: "src/ffi/tests/panics.rs",
        text: panic_test(header),
    }
}

/// Generates the list of the functions that the header declares: the library must export these and
/// no others.
pub(crate) fn symbols(header: &str) -> Generated {
    let mut names: Vec<&str> = header
        .lines()
        .filter(|line| !line.trim_start().starts_with(['*', '/']) && !line.contains("typedef"))
        .filter_map(|line| {
            let before = line.split_once('(')?.0;
            let name = before.rsplit([' ', '*']).next()?;
            (name.starts_with("camunda_") && before.len() > name.len()).then_some(name)
        })
        .collect();
    names.sort_unstable();
    Generated {
        path: "tests/c/symbols.txt",
        text: format!("# {NOTICE}\n{}\n", names.join("\n")),
    }
}

/// Maximum length of a line of a comment, without its marker.
const WIDTH: usize = 96;

const OPERATIONS_FILE: &str = "src/ffi/operations_generated.rs";

/// Generates a test that calls every status-returning function while its body panics.
fn panic_test(header: &str) -> String {
    let mut text = format!("// {NOTICE}\n\n");
    text.push_str(
        "//! Tests that every exported function that can fail catches a panic.\n\
         \n\
         use crate::ffi::boundary::PANIC;\n\
         use crate::ffi::error::CAMUNDA_STATUS_INTERNAL;\n\
         use crate::ffi::{\n    \
             admin, call, config, credentials, dispatch, doctor, object, operations_generated, token, value,\n\
         };\n\n\
         #[test]\n\
         #[rustfmt::skip]\n\
         fn exported_function_returns_internal_error_on_panic() {\n    \
             use std::ptr::{null, null_mut};\n    \
             PANIC.set(true);\n    \
             // SAFETY: the panic precedes every access to an argument.\n    \
             let statuses = unsafe {\n        \
                 [\n",
    );
    for (name, parameters) in functions_with_status(header) {
        let module = module_of(&name);
        let arguments: Vec<&str> = parameters
            .iter()
            .map(|parameter| zero_argument(parameter))
            .collect();
        writeln!(
            text,
            "            (\"{name}\", {module}::{name}({})),",
            arguments.join(", ")
        )
        .unwrap();
    }
    text.push_str(
        "        ]\n    };\n    PANIC.set(false);\n    for (name, status) in statuses {\n        \
         assert_eq!(status, CAMUNDA_STATUS_INTERNAL, \"{name}\");\n    }\n}\n",
    );
    text
}

/// Returns the functions of a header that return a status, with their parameters.
fn functions_with_status(header: &str) -> Vec<(String, Vec<String>)> {
    header
        .split("\ncamunda_status ")
        .skip(1)
        // The accessor of `camunda_error`: it cannot fail.
        .filter(|rest| !rest.starts_with("camunda_error_status("))
        .map(|rest| {
            let (name, rest) = rest.split_once('(').unwrap();
            let (parameters, _) = rest.split_once(");").unwrap();
            let parameters = parameters
                .split(',')
                .map(|parameter| parameter.trim().to_owned());
            (name.to_owned(), parameters.collect())
        })
        .collect()
}

/// Returns the module of `src/ffi` that defines a function.
fn module_of(function: &str) -> &'static str {
    let known = |name: &str| {
        OPERATIONS
            .iter()
            .any(|operation| operation.c_function == name)
            || WAITERS.iter().any(|waiter| waiter.c_function == name)
    };
    let modules = ["config", "admin", "call", "value", "object", "credentials"];
    let prefixed = |module: &&&str| function.starts_with(&format!("camunda_{module}_"));
    match function {
        "camunda_abi_check" => "crate::ffi",
        "camunda_doctor" => "doctor",
        "camunda_admin_token" | "camunda_admin_invalidate_token" => "token",
        name if known(name) => "operations_generated",
        _ => modules.iter().find(prefixed).copied().unwrap_or("dispatch"),
    }
}

/// Returns NULL, 0 or `false` as the argument for a parameter.
fn zero_argument(parameter: &str) -> &'static str {
    match parameter {
        callback if callback.starts_with("camunda_") && callback.contains("_fn ") => "None",
        pointer if pointer.starts_with("const char *const *") => "null()",
        pointer if pointer.contains('*') && pointer.starts_with("const ") => "null()",
        pointer if pointer.contains('*') => "null_mut()",
        number if number.starts_with("double ") => "0.0",
        flag if flag.starts_with("bool ") => "false",
        _ => "0",
    }
}

fn functions() -> String {
    let mut text = format!("// {NOTICE}\n\n");
    let ids: BTreeSet<&str> = WAITERS
        .iter()
        .flat_map(|waiter| waiter.arguments)
        .filter_map(|name| id_type(name))
        .collect();
    let ids = ids.into_iter().collect::<Vec<_>>().join(", ");
    write!(
        text,
        "//! The C functions of the operations and waiters.\n\
         \n\
         use std::ffi::{{c_char, c_void}};\n\n\
         use crate::api::types::{{{ids}}};\n\
         use crate::api::{{activity, backups, cluster_clients, cluster_operations, clusters, members, meta}};\n\
         use crate::api::{{monitoring, secrets, secure_connectivity}};\n\
         use crate::ffi::admin::camunda_admin;\n\
         use crate::ffi::call::camunda_call_options;\n\
         use crate::ffi::callback::camunda_write_fn;\n\
         use crate::ffi::dispatch::{{self, CallPointers}};\n\
         use crate::ffi::error::{{camunda_error, camunda_status}};\n\
         use crate::ffi::value::camunda_value;\n",
    ).unwrap();
    for operation in OPERATIONS {
        push_operation(&mut text, operation);
    }
    for waiter in WAITERS {
        push_waiter(&mut text, waiter);
    }
    text
}

fn push_operation(text: &mut String, operation: &Operation) {
    let arguments: Vec<String> = operation.arguments().map(snake).collect();
    let csv = matches!(
        operation.response.as_ref().map(|shape| &shape.kind),
        Some(BodyKind::Csv)
    );
    push_operation_doc(text, operation, csv);
    let mut parameters = call_parameters(&arguments);
    if operation.body.is_some() {
        parameters.extend(["json: *const c_char".to_owned(), "json_len: usize".into()]);
    }
    if csv {
        parameters.extend([
            "sink: camunda_write_fn".to_owned(),
            "user: *mut c_void".into(),
        ]);
    } else if operation.response.is_some() {
        parameters.push("value: *mut *mut camunda_value".into());
    }
    let body = if operation.body.is_some() {
        "Some((json, json_len))"
    } else {
        "None"
    };
    let description = rust_path(operation);
    let call = if csv {
        format!("dispatch::stream(&{description}, {CALL_POINTERS}, sink, user)")
    } else {
        let value = if operation.response.is_some() {
            "Some(value)"
        } else {
            "None"
        };
        format!(
            "dispatch::run(&{description}, {CALL_POINTERS}, &[{}], {body}, {value})",
            arguments.join(", ")
        )
    };
    push_function(text, operation.c_function, parameters, &call);
}

/// Pushes the documentation of an operation's function. `csv`: the response is passed to a callback.
fn push_operation_doc(text: &mut String, operation: &Operation, csv: bool) {
    text.push('\n');
    doc(
        text,
        &format!(
            "{} (`{} {}`).",
            sentence(operation.name),
            operation.method,
            operation.path
        ),
    );
    doc(text, "");
    doc(text, &c_bodies::in_c(operation.doc));
    doc(text, "");
    if let Some(shape) = &operation.body {
        push_body(text, "Request body", &shape.kind);
    }
    if let Some(shape) = &operation.response {
        push_body(text, "Response", &shape.kind);
    }
    if !operation.documented_errors.is_empty() {
        doc(text, "Error responses of the API:");
        for (status, reason) in operation.documented_errors {
            doc(text, &format!("- {status} {reason}"));
        }
        doc(text, "");
    }
    common_parameters(text);
    for argument in operation.arguments() {
        push_argument(text, argument);
    }
    if operation.body.is_some() {
        item(
            text,
            "@param json Request body, JSON in UTF-8. The library validates it before it sends the \
             request, and borrows it during the call.",
        );
        item(text, "@param json_len Size of the request body in bytes.");
    }
    if csv {
        item(
            text,
            "@param sink Receives the response body in pieces, on the calling thread. Returns 0 to \
             continue; any other value ends the call with CAMUNDA_STATUS_IO.",
        );
        item(text, "@param user Passed to `sink` unchanged. May be NULL.");
    } else if operation.response.is_some() {
        value_parameter(text);
    }
    error_parameter(text);
}

/// Returns the parameters with which each generated function begins.
fn call_parameters(arguments: &[String]) -> Vec<String> {
    let arguments = arguments
        .iter()
        .map(|name| format!("{name}: *const c_char"));
    [
        "admin: *const camunda_admin".to_owned(),
        "call: *const camunda_call_options".to_owned(),
    ]
    .into_iter()
    .chain(arguments)
    .collect()
}

/// The pointers that each generated function passes on.
const CALL_POINTERS: &str = "CallPointers { admin, call, error }";

fn push_waiter(text: &mut String, waiter: &Waiter) {
    text.push('\n');
    doc(text, &format!("{}.", sentence(waiter.name)));
    doc(text, "");
    doc(text, &c_bodies::in_c(waiter.doc));
    doc(text, "");
    doc(
        text,
        "The timeout of `call` limits the whole wait; default: 30 minutes. The progress callback of \
         `call` receives the resource after each poll. Returns CAMUNDA_STATUS_WAIT_FAILED when the \
         resource can no longer reach the state.",
    );
    doc(text, "");
    if let Some(response) = waiter.response {
        push_body(text, "Response", &BodyKind::Object(response));
    }
    common_parameters(text);
    for argument in waiter.arguments {
        push_argument(text, argument);
    }
    if waiter.response.is_some() {
        value_parameter(text);
    }
    error_parameter(text);
    let arguments: Vec<String> = waiter.arguments.iter().map(|name| snake(name)).collect();
    let mut parameters = call_parameters(&arguments);
    if waiter.response.is_some() {
        parameters.push("value: *mut *mut camunda_value".into());
    }
    let value = if waiter.response.is_some() {
        "Some(value)"
    } else {
        "None"
    };
    let named: Vec<String> = waiter
        .arguments
        .iter()
        .zip(&arguments)
        .map(|(name, argument)| format!("(\"{name}\", {argument})"))
        .collect();
    let call = format!(
        "dispatch::wait(|admin, [{}], call| {}, {CALL_POINTERS}, [{}], {value})",
        arguments.join(", "),
        waiter_call(waiter),
        named.join(", ")
    );
    push_function(text, waiter.c_function, parameters, &call);
}

/// Returns the Rust expression that runs a waiter.
fn waiter_call(waiter: &Waiter) -> String {
    let typed = |name: &str| match id_type(name) {
        Some(id) => format!("&{id}::new({})?", snake(name)),
        None => snake(name),
    };
    let (place, method) = waiter.sdk_method.rsplit_once('.').unwrap();
    let (id, others) = waiter.arguments.split_first().unwrap();
    let mut handle = format!("admin.cluster({})", typed(id));
    for part in place.split('.').skip(1) {
        handle.push_str(&format!(".{part}()"));
    }
    let mut arguments: Vec<String> = others.iter().map(|name| typed(name)).collect();
    arguments.push("&dispatch::wait_options(call)".into());
    let convert = match waiter.response {
        Some(_) => "with_value",
        None => "without_value",
    };
    let arguments = arguments.join(", ");
    format!("dispatch::{convert}({handle}.{method}({arguments}))")
}

fn push_function(text: &mut String, name: &str, parameters: Vec<String>, call: &str) {
    writeln!(text, "#[unsafe(no_mangle)]").unwrap();
    writeln!(text, "#[rustfmt::skip]").unwrap();
    writeln!(text, "pub unsafe extern \"C\" fn {name}(").unwrap();
    for parameter in parameters {
        writeln!(text, "    {parameter},").unwrap();
    }
    writeln!(text, "    error: *mut *mut camunda_error,").unwrap();
    writeln!(text, ") -> camunda_status {{").unwrap();
    writeln!(
        text,
        "    // SAFETY: the caller passes pointers as documented above."
    )
    .unwrap();
    writeln!(text, "    unsafe {{ {call} }}").unwrap();
    writeln!(text, "}}").unwrap();
}

/// Documents the fields of a body.
fn push_body(text: &mut String, title: &str, kind: &BodyKind) {
    doc(text, &format!("{title}: {}.", type_name(kind)));
    for line in c_bodies::fields(kind) {
        writeln!(text, "/// {line}").unwrap();
    }
    doc(text, "");
}

fn common_parameters(text: &mut String) {
    item(text, "@param admin Client. Thread-safe.");
    item(
        text,
        "@param call Options of the call; NULL for the defaults.",
    );
}

/// Documents an argument of the path.
fn push_argument(text: &mut String, name: &str) {
    let what = match (name, id_type(name).and_then(without_id)) {
        (_, Some(resource)) => format!("Id of the {}", snake(resource).replace('_', " ")),
        ("secretName", _) => "Name of the secret".to_owned(),
        ("email", _) => "Email address of the member".to_owned(),
        (other, _) => {
            panic!(
                "{other}: no documentation is defined; add it to push_argument in xtask/src/c.rs"
            )
        }
    };
    item(text, &format!("@param {} {what}.", snake(name)));
}

fn value_parameter(text: &mut String) {
    item(
        text,
        "@param[out] value On success a new value, the response; else NULL. Free it with \
         camunda_value_free().",
    );
}

fn error_parameter(text: &mut String) {
    item(
        text,
        "@param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May \
         be NULL.",
    );
    item(text, "@return CAMUNDA_STATUS_OK, or the kind of the error.");
}

/// Writes a paragraph whose continuation lines are indented.
fn item(text: &mut String, paragraph: &str) {
    push_lines(text, &wrapped(paragraph, WIDTH, "", "  "));
}

fn doc(text: &mut String, paragraph: &str) {
    push_lines(text, &wrapped(paragraph, WIDTH, "", ""));
}

fn push_lines(text: &mut String, lines: &[String]) {
    for line in lines {
        writeln!(text, "{}", format!("/// {line}").trim_end()).unwrap();
    }
}

fn type_name(kind: &BodyKind) -> String {
    match kind {
        BodyKind::Object(description) => {
            let name = description.name();
            let article = if name.starts_with(['A', 'E', 'I', 'O', 'U']) {
                "an"
            } else {
                "a"
            };
            format!("{article} {name} object")
        }
        BodyKind::List(description) => format!("an array of {} objects", description.name()),
        BodyKind::Secrets => "an object that maps secret names to secret values".to_owned(),
        BodyKind::Csv => "text".to_owned(),
    }
}

/// Returns the Rust path of an operation's description, for example `clusters::LIST`.
fn rust_path(operation: &Operation) -> String {
    let (place, name) = operation
        .sdk_method
        .rsplit_once('.')
        .unwrap_or(("meta", operation.sdk_method));
    let module = match place {
        "cluster" => "cluster_operations",
        "cluster.clients" => "cluster_clients",
        place => place.rsplit('.').next().unwrap(),
    };
    format!("{module}::{}", name.to_uppercase())
}
