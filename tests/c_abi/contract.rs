//! Compiles small programs against the headers: what must compile, what must be rejected, and what a
//! program that was compiled for another ABI gets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::library::library;
use crate::program::without_camunda;
use crate::tools::{run, tool, top};

const HEADER: &str = "include/camunda_admin.h";

/// Compiles `source` with all warnings as errors. Returns `None` if the compiler is missing.
fn compile(compiler: &str, standard: &str, source: &str) -> Option<Output> {
    let compiler = tool(compiler)?;
    let folder = tempfile::tempdir().unwrap();
    let is_cpp = standard.starts_with("c++");
    let file = folder.path().join(if is_cpp { "it.cpp" } else { "it.c" });
    fs::write(&file, source).unwrap();
    let mut command = Command::new(compiler);
    command
        .arg(format!("-std={standard}"))
        .args(["-Wall", "-Werror", "-S", "-o", "/dev/null"])
        .arg("-I")
        .arg(top().join("include"))
        .arg(file);
    Some(command.output().unwrap())
}

const COMPILERS: [(&str, &[&str]); 4] = [
    ("gcc", &["c99", "c11", "c2x"]),
    ("clang", &["c99", "c11", "c2x"]),
    ("g++", &["c++17", "c++20"]),
    ("clang++", &["c++17", "c++20"]),
];

#[test]
fn ignored_status_or_handle_is_a_warning() {
    let calls = [
        "camunda_cluster_delete(admin, NULL, \"id\", NULL);",
        "camunda_object_set_str(object, \"name\", \"x\", NULL);",
        "camunda_admin_new(config, &admin, NULL);",
        "camunda_object_new();",
        "camunda_config_new();",
        "camunda_cluster_wait_until_healthy(admin, NULL, \"id\", &value, NULL);",
    ];
    for (compiler, standards) in COMPILERS {
        for standard in standards {
            for (before, expected) in [("", calls.len()), ("#define CAMUNDA_NODISCARD\n", 0)] {
                let source = format!(
                    "{before}#include <camunda_admin.h>\n\
                     void f(camunda_admin *admin, camunda_object *object, camunda_config *config,\n       \
                     camunda_value *value) {{\n  \
                     (void)admin, (void)object, (void)config, (void)value;\n  {}\n}}\n",
                    calls.join("\n  ")
                );
                let Some(output) = compile(compiler, standard, &source) else {
                    continue;
                };
                let stderr = String::from_utf8_lossy(&output.stderr);
                let reported = stderr
                    .lines()
                    .filter(|line| line.contains("error:") && line.contains("unused-"));
                assert_eq!(
                    reported.count(),
                    expected,
                    "{compiler} {standard}\n{stderr}"
                );
                assert_eq!(output.status.success(), expected == 0, "{stderr}");
            }
        }
    }
}

#[test]
fn version_numbers_are_those_of_the_package() {
    let version = env!("CARGO_PKG_VERSION");
    let parts: Vec<u32> = version
        .split('.')
        .map(|part| part.parse().unwrap())
        .collect();
    let [major, minor, patch] = parts[..] else {
        panic!("{version}")
    };
    let source = format!(
        "#include <camunda_admin.h>\n\
         #if CAMUNDA_VERSION_MAJOR != {major} || CAMUNDA_VERSION_MINOR != {minor} || \
         CAMUNDA_VERSION_PATCH != {patch}\n#error parts\n#endif\n\
         #if CAMUNDA_VERSION_NUMBER != {major} * 1000000 + {minor} * 1000 + {patch}\n#error number\n#endif\n\
         static const char version[] = CAMUNDA_VERSION;\n\
         int main(void) {{ return sizeof version == sizeof \"{version}\" ? 0 : 1; }}\n"
    );
    let Some(output) = compile("cc", "c99", &source) else {
        return;
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Writes a copy of the headers that has another ABI version.
fn patched_headers(folder: &Path) -> PathBuf {
    let include = folder.join("include");
    fs::create_dir(&include).unwrap();
    let header = fs::read_to_string(top().join(HEADER)).unwrap();
    let line = "#define CAMUNDA_ABI_VERSION ";
    assert_eq!(header.matches(line).count(), 1);
    let (before, after) = header.split_once(line).unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    fs::write(
        include.join("camunda_admin.h"),
        format!("{before}{line}4711\n{after}"),
    )
    .unwrap();
    fs::copy(
        top().join(format!("{HEADER}pp")),
        include.join("camunda_admin.hpp"),
    )
    .unwrap();
    include
}

/// Compiles a program against headers of another ABI version, runs it and returns its output.
fn run_with_another_abi(compiler: &str, standard: &str, source: &str) -> Option<String> {
    let compiler = tool(compiler)?;
    let folder = tempfile::tempdir().unwrap();
    let is_cpp = standard.starts_with("c++");
    let file = folder.path().join(if is_cpp { "it.cpp" } else { "it.c" });
    fs::write(&file, source).unwrap();
    let binary = folder.path().join("it");
    let mut command = Command::new(compiler);
    command
        .arg(format!("-std={standard}"))
        .args(["-Wall", "-Wextra", "-Werror"]);
    command.arg("-I").arg(patched_headers(folder.path()));
    command
        .arg(file)
        .arg("-o")
        .arg(&binary)
        .args(library().link_flags());
    run(command);
    let mut command = Command::new(binary);
    without_camunda(&mut command, &[]);
    command
        .env("CAMUNDA_CONSOLE_CLIENT_ID", "id")
        .env("CAMUNDA_CONSOLE_CLIENT_SECRET", "secret");
    Some(run(command))
}

const ABI_MESSAGE: &str =
    "compiled for ABI version 4711 of camunda_admin, the loaded library has ABI version 1";

/// A C program that was compiled for another ABI gets no handle, and an error with both versions.
#[test]
fn c_program_for_another_abi_gets_no_handle() {
    let source = r#"
#include <camunda_admin.h>
#include <stdio.h>

static int refused(const char *what, camunda_status status, const void *handle, camunda_error *error) {
  printf("%s: %s\n", what, camunda_error_message(error));
  camunda_error_free(error);
  return status == CAMUNDA_STATUS_CONFIG && handle == NULL;
}

int main(void) {
  camunda_error *error = NULL;
  /* Pointers that the functions must overwrite. */
  camunda_config *config = (camunda_config *)(void *)&error;
  camunda_admin *admin = (camunda_admin *)(void *)&error;
  camunda_value *value = NULL;
  camunda_status status = camunda_config_from_env(&config, &error);
  if (!refused("from_env", status, config, error)) return 1;
  config = (camunda_config *)(void *)&status;
  status = camunda_config_from_env_file("/nowhere", &config, &error);
  if (!refused("from_env_file", status, config, error)) return 2;
  config = (camunda_config *)(void *)&status;
  status = camunda_config_from_credentials(value, &config, &error);
  if (!refused("from_credentials", status, config, error)) return 3;
  config = camunda_config_new();
  if (config != NULL) return 4;
  status = camunda_admin_new(config, &admin, &error);
  if (!refused("admin_new", status, admin, error)) return 5;
  status = camunda_admin_new(config, NULL, NULL);
  if (status != CAMUNDA_STATUS_CONFIG) return 6;
  status = camunda_config_set(config, "client_id", "x", &error);
  printf("set: %s\n", camunda_error_message(error));
  camunda_error_free(error);
  return status == CAMUNDA_STATUS_INVALID_ARGUMENT ? 0 : 7;
}
"#;
    for (compiler, standard) in [("cc", "c99"), ("c++", "c++17")] {
        let Some(output) = run_with_another_abi(compiler, standard, source) else {
            return;
        };
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines.len(), 5, "{output}");
        for (line, start) in
            lines
                .iter()
                .zip(["from_env: ", "from_env_file: ", "from_cred", "admin_new: "])
        {
            assert!(
                line.starts_with(start) && line.contains(ABI_MESSAGE),
                "{line}"
            );
        }
        assert!(
            lines[4].starts_with("set: config is NULL") && lines[4].contains("another ABI version")
        );
    }
}

/// The C++ header compares the ABI versions before it uses the library.
#[test]
fn cpp_program_for_another_abi_gets_a_config_error() {
    let source = r#"
#include <camunda_admin.hpp>
#include <iostream>

int main() {
  int refused = 0;
  for (int way = 0; way < 4; ++way) {
    try {
      if (way == 0) static_cast<void>(camunda::AdminClient::builder());
      if (way == 1) static_cast<void>(camunda::AdminClient::from_env());
      if (way == 2) static_cast<void>(camunda::Value::parse("1"));
      if (way == 3) camunda::Cancel().cancel();
    } catch (const camunda::ConfigError& error) {
      std::cout << error.what() << '\n';
      ++refused;
    }
  }
  return refused == 4 ? 0 : 1;
}
"#;
    let Some(output) = run_with_another_abi("c++", "c++17", source) else {
        return;
    };
    assert_eq!(output.lines().count(), 4, "{output}");
    for line in output.lines() {
        assert!(line.contains(ABI_MESSAGE), "{line}");
    }
}

const CPP_COMPILERS: [&str; 2] = ["g++", "clang++"];

#[test]
fn ignored_cpp_result_is_a_warning() {
    let statements = [
        "cluster.monitoring().rotate_password(monitoring);",
        "cluster.clients().create({\"worker\"});",
        "cluster.clients().create_env_file(\"worker.env\", {\"worker\"});",
        "cluster.add_to_ip_allowlist({\"10.0.0.0/8\", \"office\"});",
        "cluster.remove_from_ip_allowlist(\"10.0.0.0/8\");",
        "admin.clusters().list();",
        "camunda::AdminClient::from_env();",
        "camunda::AdminClient::builder().build();",
        "camunda::Cluster::from_json(\"{}\");",
        "error.status();",
        "error.outcome();",
    ];
    // Calls without a result, and those whose result the header exempts.
    let others = "cluster.remove();\n  cluster.wait_until_healthy();\n  \
                  admin.request(\"DELETE\", \"/new\");\n  admin.clear_auth_failure();";
    for compiler in CPP_COMPILERS {
        let source = format!(
            "#include <camunda_admin.hpp>\nvoid f(const camunda::AdminClient& admin, \
             const camunda::ClusterHandle& cluster, const camunda::Error& error,\n       \
             const camunda::MonitoringClientId& monitoring) {{\n  {}\n  {others}\n}}\n",
            statements.join("\n  ")
        );
        let Some(output) = compile(compiler, "c++17", &source) else {
            continue;
        };
        let stderr = String::from_utf8_lossy(&output.stderr);
        let reported = stderr
            .lines()
            .filter(|line| line.contains("error:") && line.contains("unused-"));
        assert_eq!(reported.count(), statements.len(), "{compiler}\n{stderr}");
    }
}

/// Headers such as <X11/Xlib.h>, <windows.h>, <crtdbg.h>, <AssertMacros.h> and those of Qt define macros with common names.
#[test]
fn cpp_header_compiles_between_macros_of_other_headers() {
    let source = r"
#include <cstdlib>
#define Status int
#define Bool int
#define None 0L
#define True 1
#define False 0
#define Success 0
#define Always 2
#define ERROR 0
#define DELETE 0x00010000L
#define IN
#define OUT
#define near
#define far
#define small char
#define interface struct
#define check(condition) static_cast<void>(condition)
#define free(memory) free_dbg(memory, 1)
#define emit
#define slots
#define signals public
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#include <camunda_admin.hpp>

long f(const camunda::AdminClient& admin) {
  try {
    for (const camunda::Cluster& cluster : admin.clusters().list()) {
      if (cluster.status.ready != camunda::ClusterComponentStatus::Healthy) return min(1, 2);
    }
  } catch (const camunda::Error& error) {
    if (error.status() == camunda::StatusCode::NotFound) return None;
  }
  Status still_a_macro = max(0, 1);
  return still_a_macro;
}
";
    for compiler in CPP_COMPILERS {
        for standard in ["c++17", "c++20"] {
            if let Some(output) = compile(compiler, standard, source) {
                let stderr = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{compiler} {standard}\n{stderr}");
            }
        }
    }
}

#[test]
fn cpp_types_satisfy_concepts_of_cpp20() {
    let source = r#"
#include <camunda_admin.hpp>
#include <ranges>
static_assert(std::ranges::random_access_range<const camunda::Extra>);
static_assert(std::ranges::forward_range<const camunda::Value>);
static_assert(std::equality_comparable<camunda::Cluster>);
static_assert(std::same_as<camunda::SysTime, std::chrono::sys_time<std::chrono::milliseconds>>);
static_assert(!std::convertible_to<camunda::RegionId, camunda::ChannelId>);
static_assert(requires(camunda::BackupId id) { std::hash<camunda::BackupId>()(id); });
static_assert(requires(camunda::BackupStatus status) { std::hash<camunda::BackupStatus>()(status); });
static_assert(requires(camunda::Timestamp time) { std::hash<camunda::Timestamp>()(time); });
"#;
    if let Some(output) = compile("g++", "c++20", source) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
    }
}

/// A reference to a part of an object that does not exist any more is a warning of clang.
#[test]
fn cpp_parts_of_temporary_objects_are_reported() {
    let source = r#"
#include <camunda_admin.hpp>
using namespace camunda;
std::size_t a(const TokenSource& source) {
  std::string_view text = source.access_token().expose();
  return text.size();
}
std::size_t b() {
  const std::string& text = CreatedClusterClient().client_secret.expose();
  return text.size();
}
char c() {
  const char* text = ClusterId("a").c_str();
  return text[0];
}
std::size_t d(const AdminClient& admin) {
  const auto* list = admin.cluster("a").get().allowlist();
  return list->size();
}
std::size_t used_while_they_exist(const AdminClient& admin, const TokenSource& source) {
  const std::string header = "Bearer " + std::string(source.access_token().expose());
  return header.size() + admin.cluster("a").get().allowlist()->size();
}
"#;
    if let Some(output) = compile("clang++", "c++17", source) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let lines = stderr.lines().filter(|it| it.contains("error:"));
        let found: Vec<_> = lines
            .filter(|it| it.contains("-Wdangling"))
            .filter_map(|it| it.split(':').nth(1))
            .collect();
        assert_eq!(found, ["5", "9", "13", "17"], "{stderr}");
    }
}

#[test]
fn cpp_header_names_the_missing_compiler_option() {
    let source = "#include <camunda_admin.hpp>\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("it.cpp");
    fs::write(&file, source).unwrap();
    for (flags, message) in [
        (
            &["-std=c++17", "-fno-exceptions"][..],
            "compile with -fexceptions, or use camunda_admin.h",
        ),
        (&["-std=c++14"], "compile with -std=c++17"),
    ] {
        for compiler in CPP_COMPILERS {
            let Some(path) = tool(compiler) else { continue };
            let mut command = Command::new(path);
            command.args(flags).args(["-fsyntax-only", "-I"]);
            let output = command
                .arg(top().join("include"))
                .arg(&file)
                .output()
                .unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{compiler} {flags:?}");
            assert!(stderr.contains(message), "{compiler}: {stderr}");
        }
    }
}

/// The reference of both headers is complete: Doxygen warns about undocumented declarations, wrong
/// parameter names and broken links.
#[test]
fn doxygen_accepts_the_headers_without_a_warning() {
    let Some(html) = doxygen("") else {
        return;
    };
    let page = |name: &str| fs::read_to_string(html.path().join("html").join(name)).unwrap();
    assert!(
        page("camunda__admin_8h.html").contains("camunda_cluster_create"),
        "the C header is missing"
    );
    let index = page("annotated.html");
    assert!(index.contains("AdminClient"), "the C++ header is missing");
    assert!(!index.contains("1_1detail"), "internal classes are shown");
}

/// Each function of the C header has an `@param` for each parameter, and an `@return`.
#[test]
fn c_header_documents_every_parameter_and_result() {
    doxygen("INPUT = include/camunda_admin.h\nWARN_NO_PARAMDOC = YES\n");
}

/// Runs Doxygen with `docs/Doxyfile` and other settings, and returns the folder with its output. Fails
/// on warnings. `None` if Doxygen is not installed.
fn doxygen(settings: &str) -> Option<TempDir> {
    let doxygen = tool("doxygen")?;
    let folder = tempfile::tempdir().unwrap();
    let common = fs::read_to_string(top().join("docs/Doxyfile")).unwrap();
    let path = folder.path().display();
    let config = folder.path().join("Doxyfile");
    let log = folder.path().join("warnings");
    fs::write(
        &config,
        format!(
            "{common}\n{settings}OUTPUT_DIRECTORY = {path}\nWARN_LOGFILE = {}\n",
            log.display()
        ),
    )
    .unwrap();
    let mut command = Command::new(doxygen);
    command.arg(config).current_dir(top());
    run(command);
    let warnings = fs::read_to_string(log).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    Some(folder)
}
