//! Definitions of the methods that `classes` declares.

use std::fmt::Write as _;

use camunda_admin::description::{OPERATIONS, Operation, WAITERS, Waiter};

use super::classes::{
    Argument, PLACES, arguments, class_of, is_csv, path_argument, place_of, response_types,
    signature, waiter_arguments,
};
use super::names::cpp_name;
use crate::identifiers::polled_type;

pub(super) fn push_definitions(text: &mut String) {
    for place in PLACES {
        match place.call.split_once('.') {
            None if place.of_cluster => writeln!(
                text,
                "inline {0} AdminClient::{1}(ClusterId id) const {{\n  return {0}(*this, std::move(id));\n}}\n",
                place.class, place.call
            ),
            None => writeln!(
                text,
                "inline {0} AdminClient::{1}() const {{ return {0}(*this); }}\n",
                place.class, place.call
            ),
            Some(_) => Ok(()),
        }
        .unwrap();
    }
    for operation in OPERATIONS {
        push_definition(text, operation);
    }
    push_allowlist_definitions(text);
    push_env_file_definition(text);
    for waiter in WAITERS {
        push_waiter_definition(text, waiter);
    }
}

pub(super) fn push_definition(text: &mut String, operation: &Operation) {
    let (place, _) = place_of(operation.sdk_method);
    let class = class_of(place);
    if is_csv(operation) {
        push_csv(text, operation, class);
        return;
    }
    let arguments = arguments(operation);
    let mut passed = if class == "AdminClient" {
        vec!["get()".to_owned(), "call()".to_owned()]
    } else {
        vec!["admin_.get()".to_owned(), "admin_.call()".to_owned()]
    };
    if operation.sdk_method.starts_with("cluster.") {
        passed.push("detail::c_text(cluster_.str(), \"cluster_uuid\")".to_owned());
    }
    passed.extend(arguments.iter().map(|argument| argument.passed.clone()));
    let (returns, read_as) = response_types(operation);
    writeln!(
        text,
        "inline {returns} {class}::{} {{",
        signature(operation)
    )
    .unwrap();
    for argument in &arguments {
        text.push_str(&argument.before);
    }
    if read_as.is_empty() {
        passed.push("error".to_owned());
        writeln!(text, "  detail::run([&](camunda_error** error) {{").unwrap();
        push_call(text, operation.c_function, &passed);
        writeln!(text, "  }});").unwrap();
    } else {
        passed.extend(["value".to_owned(), "error".to_owned()]);
        writeln!(
            text,
            "  return detail::call_value<{read_as}>([&](camunda_value** value, camunda_error** error) {{"
        )
        .unwrap();
        push_call(text, operation.c_function, &passed);
        let field = if returns == read_as {
            ""
        } else {
            ".cluster_id"
        };
        writeln!(text, "  }}){field};").unwrap();
    }
    writeln!(text, "}}\n").unwrap();
}

fn push_call(text: &mut String, function: &str, passed: &[String]) {
    let mut line = format!("    return {function}(");
    for (index, argument) in passed.iter().enumerate() {
        let separator = if index + 1 == passed.len() { ");" } else { "," };
        if line.len() + argument.len() + separator.len() + 1 > 99 {
            writeln!(text, "{}", line.trim_end()).unwrap();
            line = "        ".to_owned();
        }
        line.push_str(argument);
        line.push_str(separator);
        if separator == "," {
            line.push(' ');
        }
    }
    writeln!(text, "{}", line.trim_end()).unwrap();
}

fn push_csv(text: &mut String, operation: &Operation, class: &str) {
    let name = cpp_name(place_of(operation.sdk_method).1);
    writeln!(
        text,
        "inline void {class}::{name}(std::ostream& stream) const {{\n  \
           {name}([&](std::string_view piece) {{\n    \
             stream.write(piece.data(), static_cast<std::streamsize>(piece.size()));\n    \
             return stream.good();\n  }});\n}}\n\n\
         template <class Sink, class>\nvoid {class}::{name}(Sink&& sink) const {{\n  \
           const camunda_write_fn write = [](void* user, const char* data,\n                                    \
           std::size_t size) noexcept -> std::int32_t {{\n    \
             try {{\n      \
               auto& sink_of_caller = *static_cast<std::remove_reference_t<Sink>*>(user);\n      \
               const std::string_view piece(data, size);\n      \
               if constexpr (std::is_void_v<std::invoke_result_t<Sink&, std::string_view>>) {{\n        \
                 sink_of_caller(piece);\n        return 0;\n      \
               }} else {{\n        return sink_of_caller(piece) ? 0 : 1;\n      }}\n    \
             }} catch (...) {{\n      detail::store_exception(true);\n      return 1;\n    }}\n  }};\n  \
           void* const user = const_cast<void*>(static_cast<const void*>(std::addressof(sink)));\n  \
           detail::run([&](camunda_error** error) {{\n    \
             return {}(admin_.get(), admin_.call(), write, user, error);\n  }});\n}}\n",
        operation.c_function
    )
    .unwrap();
}

fn push_allowlist_definitions(text: &mut String) {
    writeln!(
        text,
        "inline std::vector<IpAllowlistEntry> ClusterHandle::add_to_ip_allowlist(\n    \
         const IpAllowlistEntry& entry) const {{\n  \
         return detail::call_value<std::vector<IpAllowlistEntry>>(\n      \
         [&](camunda_value** value, camunda_error** error) {{\n        \
         return camunda_cluster_add_to_ip_allowlist(\n            \
         admin_.get(), admin_.call(), detail::c_text(cluster_.str(), \"cluster_uuid\"),\n            \
         detail::c_text(entry.ip, \"ip\"), detail::c_text(entry.description, \"description\"), value, error);\n      \
         }});\n}}\n\n\
         inline std::vector<IpAllowlistEntry> ClusterHandle::remove_from_ip_allowlist(\n    \
         std::string_view ip) const {{\n  \
         const detail::CText ip_text(ip, \"ip\");\n  \
         return detail::call_value<std::vector<IpAllowlistEntry>>(\n      \
         [&](camunda_value** value, camunda_error** error) {{\n        \
         return camunda_cluster_remove_from_ip_allowlist(\n            \
         admin_.get(), admin_.call(), detail::c_text(cluster_.str(), \"cluster_uuid\"), ip_text.get(),\n            \
         value, error);\n      }});\n}}\n"
    )
    .unwrap();
}

fn push_env_file_definition(text: &mut String) {
    writeln!(
        text,
        "inline CreatedClusterClient ClusterClients::create_env_file(\n    \
         const std::string& path, const CreateClusterClient& request) const {{\n  \
         const detail::Body body(request);\n  \
         return detail::call_value<CreatedClusterClient>([&](camunda_value** value, camunda_error** error) {{\n    \
         return camunda_cluster_client_create_env_file(\n        \
         admin_.get(), admin_.call(), detail::c_text(cluster_.str(), \"cluster_uuid\"), body.data(),\n        \
         body.size(), detail::c_text(path, \"the path\"), value, error);\n  }});\n}}\n"
    )
    .unwrap();
}

fn push_waiter_definition(text: &mut String, waiter: &Waiter) {
    let (place, name) = place_of(waiter.sdk_method);
    let response = waiter.response.map(|response| response.name());
    writeln!(
        text,
        "inline {} {}::{}({}) const {{",
        response.unwrap_or("void"),
        class_of(place),
        cpp_name(name),
        waiter_arguments(waiter, false)
    )
    .unwrap();
    let arguments: Vec<Argument> = waiter
        .arguments
        .iter()
        .filter_map(|name| path_argument(name, true))
        .collect();
    for argument in &arguments {
        text.push_str(&argument.before);
    }
    let mut passed = vec![
        "admin_.get()".to_owned(),
        "handle.get()".to_owned(),
        "detail::c_text(cluster_.str(), \"cluster_uuid\")".to_owned(),
    ];
    passed.extend(arguments.into_iter().map(|argument| argument.passed));
    writeln!(
        text,
        "  const detail::WaitHandle<{}> handle(admin_.options(), wait);",
        polled_type(waiter)
    )
    .unwrap();
    match response {
        Some(response) => {
            passed.extend(["value".to_owned(), "error".to_owned()]);
            writeln!(
                text,
                "  return detail::call_value<{response}>([&](camunda_value** value, camunda_error** error) {{"
            )
        }
        None => {
            passed.push("error".to_owned());
            writeln!(text, "  detail::run([&](camunda_error** error) {{")
        }
    }
    .unwrap();
    push_call(text, waiter.c_function, &passed);
    writeln!(text, "  }});\n}}\n").unwrap();
}
