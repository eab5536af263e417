//! Every code block of the documentation compiles or runs, except those that say why they do not.
//!
//! Rust blocks are doctests of `src/lib.rs`. Here, C and C++ blocks are compiled, Python blocks run
//! page by page against a sandbox, and so do shell scripts (`sh`). A block after the comment
//! `<!-- not run: REASON -->` is not run. Blocks of other languages are data; JSON is parsed.

#[path = "support/cargo.rs"]
mod cargo;
#[path = "support/library.rs"]
#[allow(dead_code)]
mod library;
#[path = "support/limited.rs"]
#[allow(dead_code)]
mod limited;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use camunda_admin_sandbox::Sandbox;
use serde_json::json;

use library::library;
use limited::{PROGRAM_LIMIT, SLOW_PROGRAM_LIMIT, run_to_end};

/// Languages of blocks that are data or transcripts.
const DATA: [&str; 11] = [
    "cmake",
    "console",
    "csv",
    "dockerfile",
    "html",
    "ini",
    "json",
    "text",
    "toml",
    "yaml",
    "none",
];
/// Comment that exempts the next block; a reason follows.
const NOT_RUN: &str = "<!-- not run: ";

/// A code block of a page.
#[derive(Debug)]
struct Block {
    /// Page and line, for messages.
    place: String,
    language: String,
    text: String,
    is_run: bool,
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the pages: all Markdown files below `docs`, and the README.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![top().join("README.md")];
    let mut folders = vec![top().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

fn name_of(page: &Path) -> String {
    page.strip_prefix(top()).unwrap().display().to_string()
}

/// Returns the blocks of a page.
fn blocks(page: &Path) -> Vec<Block> {
    let name = name_of(page);
    let text = fs::read_to_string(page).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<(usize, Block)> = None;
    let mut exempt = false;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let ticks = trimmed.len() - trimmed.trim_start_matches('`').len();
        match &mut open {
            Some((fence, block)) => {
                if ticks >= *fence && trimmed.trim_matches('`').is_empty() {
                    blocks.push(open.take().unwrap().1);
                } else {
                    writeln!(block.text, "{line}").unwrap();
                }
            }
            None if ticks >= 3 => {
                let info = trimmed.trim_start_matches('`');
                // A directive of the site, such as a list of pages.
                if info.starts_with('{') {
                    let block = Block {
                        place: String::new(),
                        language: "none".to_owned(),
                        text: String::new(),
                        is_run: false,
                    };
                    open = Some((ticks, block));
                    continue;
                }
                let block = Block {
                    place: format!("{name}:{}", index + 1),
                    language: info.split(',').next().unwrap().trim().to_owned(),
                    text: String::new(),
                    is_run: !exempt,
                };
                exempt = false;
                open = Some((ticks, block));
            }
            None if trimmed.starts_with(NOT_RUN) => exempt = true,
            None => {}
        }
    }
    assert!(open.is_none(), "{name}: block without end");
    blocks
}

/// Returns the blocks of a language that are run.
fn blocks_of(language: &str) -> Vec<Block> {
    let pages = pages();
    let blocks = pages.iter().flat_map(|page| blocks(page));
    blocks
        .filter(|block| block.is_run && block.language == language)
        .collect()
}

#[test]
fn every_block_has_a_known_language() {
    let mut unknown = Vec::new();
    let mut count = 0;
    for block in pages().iter().flat_map(|page| blocks(page)) {
        count += 1;
        let language = block.language.as_str();
        if !DATA.contains(&language) && !["rust", "c", "cpp", "python", "sh"].contains(&language) {
            unknown.push(format!("{}: {language:?}", block.place));
        }
        if language == "json" {
            serde_json::from_str::<serde_json::Value>(&block.text)
                .unwrap_or_else(|error| panic!("{}: {error}", block.place));
        }
    }
    assert!(count > 20, "{count} blocks");
    assert!(unknown.is_empty(), "{unknown:#?}");
}

/// Every page with a Rust block is included in the doctests of `src/lib.rs`.
#[test]
fn pages_with_rust_blocks_are_doctests() {
    let library = fs::read_to_string(top().join("src/lib.rs")).unwrap();
    let mut missing = Vec::new();
    for page in pages() {
        let has_rust = blocks(&page)
            .iter()
            .any(|block| block.is_run && block.language == "rust");
        let included = library.contains(&format!("include_str!(\"../{}\")", name_of(&page)));
        if has_rust && !included {
            missing.push(name_of(&page));
        }
    }
    assert!(missing.is_empty(), "not in src/lib.rs: {missing:?}");
}

/// Compiles a source text and returns the messages of the compiler, empty if there are none.
fn compile(compiler: &str, options: &[&str], extension: &str, source: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("blocks.{extension}"));
    fs::write(&path, source).unwrap();
    let mut command = Command::new(compiler);
    command.args(options).args([
        "-fsyntax-only",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wno-unused-variable",
        "-Wno-unused-but-set-variable",
    ]);
    command.arg("-I").arg(top().join("include")).arg(&path);
    let ended = run_to_end(command, SLOW_PROGRAM_LIMIT);
    match ended.status.success() {
        true => String::new(),
        false => ended.stderr,
    }
}

/// Returns the preprocessor directives of a block, and the other lines.
fn split_directives(block: &Block) -> (String, String) {
    let lines = block.text.lines();
    let (directives, code): (Vec<&str>, Vec<&str>) =
        lines.partition(|line| line.starts_with("#include") || line.starts_with("#define"));
    (directives.join("\n"), code.join("\n"))
}

/// Each C block is a file of its own. A block without a function becomes the body of one, which can use
/// the objects that the prologue declares.
#[test]
fn c_blocks_compile() {
    const PROLOGUE: &str = "
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <camunda_admin.h>
extern camunda_admin *admin;
extern camunda_value *value;
extern camunda_error *error;
extern camunda_status status;
void example(void);
";
    if !is_installed("cc") {
        return missing("cc");
    }
    let blocks = blocks_of("c");
    assert!(blocks.len() >= 5, "{} blocks", blocks.len());
    let mut problems = String::new();
    for block in &blocks {
        let is_file = block.text.contains("main(") || block.text.contains("\nstatic ");
        let source = match is_file {
            true => block.text.clone(),
            false => {
                let (directives, code) = split_directives(block);
                format!("{directives}{PROLOGUE}void example(void) {{\n{code}\n}}\n")
            }
        };
        let messages = compile("cc", &["-std=c11"], "c", &source);
        if !messages.is_empty() {
            writeln!(problems, "{}:\n{messages}", block.place).unwrap();
        }
    }
    assert!(problems.is_empty(), "{problems}");
}

/// All C++ blocks are compiled together, each in a namespace of its own, because the header takes
/// seconds.
#[test]
fn cpp_blocks_compile() {
    if !is_installed("c++") {
        return missing("c++");
    }
    let blocks = blocks_of("cpp");
    assert!(blocks.len() >= 5, "{} blocks", blocks.len());
    let (mut head, mut body) = (String::new(), String::new());
    head.push_str("#include <iostream>\n#include <camunda_admin.hpp>\n");
    body.push_str("extern const camunda::AdminClient admin;\n");
    for (index, block) in blocks.iter().enumerate() {
        let (directives, code) = split_directives(block);
        let (page, line) = block.place.split_once(':').unwrap();
        writeln!(head, "{directives}").unwrap();
        let code = match code.contains("main(") {
            true => code,
            false => {
                format!("void example();\nvoid example() {{\n#line {line} \"{page}\"\n{code}\n}}")
            }
        };
        writeln!(body, "namespace block_{index} {{\n{code}\n}}").unwrap();
    }
    let messages = compile("c++", &["-std=c++17"], "cpp", &(head + &body));
    assert!(messages.is_empty(), "{messages}");
}

/// The Python blocks of a page run in one process, in order, with these names: `admin`, a client;
/// `cluster`, the handle of a healthy cluster, and `cluster_id`. In the reference of operations, an
/// error response of the API is a success: the request was sent.
const PYTHON_PROLOGUE: &str = r#"
import json, os, sys
from camunda_admin import AdminClient, CamundaError

client = AdminClient.from_env()
cluster_id = os.environ["EXAMPLE_CLUSTER"]
cluster = client.cluster(cluster_id)
accepts_errors = "operations" in sys.argv[1]
for place, code in json.load(open(sys.argv[2], encoding="utf-8")):
    line = int(place.rsplit(":", 1)[1])
    # A block may have closed its own client of this name.
    admin = client
    # Messages have the line of the page.
    compiled = compile("\n" * line + code, sys.argv[1], "exec")
    try:
        exec(compiled, globals())
    except CamundaError as error:
        if not accepts_errors or error.http_status is None:
            raise
"#;

#[test]
fn python_blocks_run() {
    if !is_installed("python3") {
        return missing("python3");
    }
    let library = &library().shared;
    let mut problems = String::new();
    let mut count = 0;
    for page in pages() {
        // `bindings/python/tests/test_documentation.py` runs these: some need third-party packages.
        if page.starts_with(top().join("docs/python")) {
            continue;
        }
        let blocks: Vec<Block> = blocks(&page)
            .into_iter()
            .filter(|block| block.is_run && block.language == "python")
            .collect();
        if blocks.is_empty() {
            continue;
        }
        count += blocks.len();
        let sandbox = Sandbox::builder()
            .rejection_delay(Duration::from_millis(10))
            .healthy_after(Duration::from_millis(100))
            .start();
        let cluster = sandbox.create_cluster(json!({ "name": "orders" }));
        let home = tempfile::tempdir().unwrap();
        let list: Vec<_> = blocks
            .iter()
            .map(|block| (&block.place, &block.text))
            .collect();
        // For `ca_file`.
        let authority = rcgen::generate_simple_self_signed(["company".to_owned()]).unwrap();
        fs::write(home.path().join("company.pem"), authority.cert.pem()).unwrap();
        let file = home.path().join("blocks.json");
        fs::write(&file, serde_json::to_string(&list).unwrap()).unwrap();
        let mut command = Command::new("python3");
        command
            .args(["-B", "-c", PYTHON_PROLOGUE])
            .arg(&page)
            .arg(&file);
        environment(&mut command, &sandbox, home.path());
        command
            .env("EXAMPLE_CLUSTER", cluster)
            .env("PYTHONPATH", top().join("bindings/python/src"))
            .env("CAMUNDA_ADMIN_LIBRARY", library);
        let ended = run_to_end(command, PROGRAM_LIMIT);
        if !ended.status.success() {
            writeln!(
                problems,
                "{}:\n{}{}",
                name_of(&page),
                ended.stdout,
                ended.stderr
            )
            .unwrap();
        }
    }
    assert!(count >= 5, "{count} blocks");
    assert!(problems.is_empty(), "{problems}");
}

/// Scripts run in the shell with `-e`, with the environment of a sandbox and with the programs of this
/// repository in `PATH`.
#[cfg(all(unix, feature = "cli"))]
#[test]
fn shell_blocks_run() {
    if !is_installed("curl") {
        return missing("curl");
    }
    let mut command = cargo::build();
    command.args(["-p", "camunda-admin", "-p", "camunda-admin-sandbox"]);
    command.args(["--bin", "camunda-admin-sandbox"]);
    let ended = run_to_end(command, SLOW_PROGRAM_LIMIT);
    assert!(ended.status.success(), "{}", ended.stderr);
    let program = Path::new(env!("CARGO_BIN_EXE_camunda-admin"));
    let mut path = vec![program.parent().unwrap().to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let path = std::env::join_paths(path).unwrap();
    let mut problems = String::new();
    let blocks = blocks_of("sh");
    assert!(blocks.len() >= 3, "{} scripts", blocks.len());
    for block in blocks {
        let sandbox = Sandbox::start();
        let cluster = sandbox.create_cluster(json!({ "name": "orders" }));
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-e", "-c", &block.text]);
        environment(&mut command, &sandbox, home.path());
        command.env("PATH", &path).env("EXAMPLE_CLUSTER", cluster);
        let ended = run_to_end(command, PROGRAM_LIMIT);
        if !ended.status.success() {
            writeln!(
                problems,
                "{}:\n{}{}",
                block.place, ended.stdout, ended.stderr
            )
            .unwrap();
        }
    }
    assert!(problems.is_empty(), "{problems}");
}

/// Sets the variables of the sandbox and a home directory of the program's own.
fn environment(command: &mut Command, sandbox: &Sandbox, home: &Path) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let own = ["CAMUNDA_", "ZEEBE_", "PYTHON", "XDG_"];
        if own.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&*name);
        }
    }
    command.current_dir(home).env("HOME", home);
    command.envs(sandbox.environment());
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Prints the name of a missing program; with `CI=true` panics.
fn missing(what: &str) {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!in_ci, "{what} is required with CI=true, but is missing");
    println!("skipped: {what} is missing");
}
