//! Tests of the installed Python package: installs it with pip into a virtual environment, and runs its
//! tests, its example, mypy and pyright there against a sandbox.
//!
//! Without python3 the tests are skipped and print its name; with `CI=true` they fail.

#[path = "support/cargo.rs"]
mod cargo;
#[path = "support/library.rs"]
#[allow(dead_code)]
mod library;
#[path = "support/limited.rs"]
#[allow(dead_code)]
mod limited;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use camunda_admin_sandbox::Sandbox;
use once_cell::sync::OnceCell;

use library::library;
use limited::{Limited, PROGRAM_LIMIT, SLOW_PROGRAM_LIMIT, run_to_end, text_of};

// Later versions may report errors that these do not.
const MYPY: &str = "mypy<=2.4.1";
const PYRIGHT: &str = "pyright<=1.1.414";

/// Generates a test for each module of `bindings/python/tests`.
macro_rules! package_tests {
    ($($module:ident)*) => {
        const PACKAGE_TESTS: &[&str] = &[$(stringify!($module)),*];

        mod package_tests_pass {
            $(
                #[test]
                fn $module() {
                    super::assert_package_tests_pass(stringify!($module));
                }
            )*
        }
    };
}

package_tests! {
    test_asyncio
    test_doctor
    test_documentation
    test_environments
    test_errors
    test_hidden
    test_mistakes
    test_models
    test_operations
    test_processes
    test_provision
    test_runtime
    test_support
}

/// Runs the tests of a module in a process of its own, with its own sandbox and home directory: most of
/// them wait, and the modules run at the same time.
fn assert_package_tests_pass(module: &str) {
    let Some(python) = python() else { return };
    // For the pages of the documentation that use them, and for the test in a notebook.
    if ["test_documentation", "test_environments"].contains(&module) {
        for module in [
            "pandas",
            "gevent",
            "tqdm",
            "rich",
            "nbclient",
            "ipykernel",
            "pydantic",
        ] {
            if !python.has_tool(module) {
                missing(&format!("{module} (from PyPI)"));
            }
        }
    }
    let sandbox = sandbox();
    let folder = tempfile::tempdir().unwrap();
    let mut command = python.command(&sandbox, folder.path());
    command
        .args(["-m", "unittest", "discover", "--start-directory"])
        .arg(package().join("tests"))
        .args(["--pattern", &format!("{module}.py")]);
    let output = run(command);
    // unittest finds no error where it finds no test.
    assert!(!output.contains("Ran 0 tests"), "{output}");
    // All tests and their child processes together stayed within the rate limit.
    assert_eq!(sandbox.stats().rate_limited_token_requests, 0);
}

#[test]
fn package_tests_include_every_module() {
    let entries = fs::read_dir(package().join("tests")).unwrap();
    let mut modules: Vec<String> = entries
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(".py")?.to_owned()))
        .filter(|name| name.starts_with("test_"))
        .collect();
    modules.sort_unstable();
    assert_eq!(modules, PACKAGE_TESTS);
}

#[test]
fn example_creates_and_deletes_cluster() {
    let Some(python) = python() else { return };
    let sandbox = sandbox();
    let folder = tempfile::tempdir().unwrap();
    let mut command = python.command(&sandbox, folder.path());
    command.arg(top().join("examples/python/quickstart.py"));
    let output = run(command);
    assert!(output.contains("1 token requests"), "{output}");
    let stats = sandbox.stats();
    // One for the API, one for Zeebe.
    assert_eq!(stats.token_requests, 2, "{stats:?}");
    assert_eq!(
        stats.requests_by_operation["DELETE /clusters/{clusterUuid}"],
        1
    );
}

/// The example for pytest in the documentation, with the package of the mock server.
#[test]
fn example_of_pytest_passes() {
    let Some(python) = python() else { return };
    if !python.has_tool("pytest") {
        return missing("pytest (from PyPI)");
    }
    let page = fs::read_to_string(top().join("docs/python/testing.md")).unwrap();
    let (_, rest) = page
        .split_once("tests/python.rs runs it -->\n```python\n")
        .unwrap();
    let (example, _) = rest.split_once("```\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("test_names.py"), example).unwrap();
    // The test must not use this sandbox.
    let sandbox = sandbox();
    let mut command = python.command(&sandbox, folder.path());
    let fixture = "camunda_admin_sandbox.pytest_plugin";
    command
        .args([
            "-m",
            "pytest",
            "-q",
            "-p",
            fixture,
            "-p",
            "no:cacheprovider",
        ])
        .env("PYTHONPATH", top().join("bindings/python-sandbox/src"))
        .env("CAMUNDA_ADMIN_SANDBOX", sandbox_program());
    let output = run(command);
    assert!(output.contains("1 passed"), "{output}");
    assert_eq!(sandbox.stats().token_requests, 0);
}

/// Builds the program of the mock server and returns its path.
fn sandbox_program() -> PathBuf {
    let name = "camunda-admin-sandbox";
    let mut command = cargo::build();
    command.args(["-p", "camunda-admin", "-p", name, "--bin", name]);
    run(command);
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    cargo::profile_folder().join(file)
}

/// Linux accepts connections on all of 127.0.0.0/8, so the sandbox can have a URL that the example does
/// not recognize as local.
#[cfg(target_os = "linux")]
#[test]
fn example_only_reads_when_server_is_not_local() {
    let Some(python) = python() else { return };
    let sandbox = sandbox();
    let folder = tempfile::tempdir().unwrap();
    let mut command = python.command(&sandbox, folder.path());
    command.env("CAMUNDA_CONSOLE_BASE_URL", forward_to(&sandbox));
    command.arg(top().join("examples/python/quickstart.py"));
    assert!(run(command).contains("--create"));
    let requests = sandbox.stats().requests_by_operation;
    assert_eq!(requests.keys().collect::<Vec<_>>(), ["GET /clusters"]);
}

/// Forwards connections from another IP address to the sandbox. Returns the URL.
#[cfg(target_os = "linux")]
fn forward_to(sandbox: &Sandbox) -> String {
    use std::net::{Shutdown, TcpListener, TcpStream};

    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let target = sandbox.base_url().replace("http://", "");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(&target).unwrap();
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server, client),
            ] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    url
}

#[test]
fn package_and_programs_pass_mypy_strict() {
    let Some(python) = python() else { return };
    if !python.has_tool(MYPY) {
        return missing("mypy (from PyPI)");
    }
    // The cache of mypy, in this folder, makes the second run short.
    let folder = tempfile::tempdir().unwrap();
    // The programs import the installed package, which has a py.typed.
    for paths in [
        vec![package().join("src/camunda_admin")],
        vec![
            package().join("tests/typed_usage.py"),
            top().join("examples/python/provision.py"),
            top().join("examples/python/quickstart.py"),
        ],
    ] {
        let mut command = Command::new(&python.program);
        command
            .current_dir(folder.path())
            .args(["-m", "mypy", "--strict"])
            .args(paths);
        run(command);
    }
}

#[test]
fn package_and_programs_pass_pyright_strict() {
    let Some(python) = python() else { return };
    // It is a program for Node.js, which the package on PyPI installs with npm when it runs first.
    let prints_version = || {
        let mut command = Command::new(&python.program);
        command.args(["-m", "pyright", "--version"]);
        command
    };
    if !(python.has_tool(PYRIGHT) && succeeds_eventually(prints_version)) {
        return missing("pyright (from PyPI)");
    }
    let folder = tempfile::tempdir().unwrap();
    let copies = [
        (package().join("tests/typed_usage.py"), "typed_usage.py"),
        (top().join("examples/python/provision.py"), "provision.py"),
        (top().join("examples/python/quickstart.py"), "quickstart.py"),
    ];
    for (path, name) in copies {
        fs::copy(path, folder.path().join(name)).unwrap();
    }
    let installed = python.package();
    run(copied(&installed, &folder.path().join("camunda_admin")));
    // In the package, arguments are checked although they have a type, and decoded JSON has none.
    let package_rules = [
        "reportPrivateUsage",
        "reportMissingModuleSource",
        "reportUnnecessaryIsInstance",
        "reportUnknownVariableType",
        "reportUnknownArgumentType",
        "reportUnknownMemberType",
    ];
    let off: Vec<_> = package_rules
        .iter()
        .map(|rule| format!("{rule:?}: \"none\""))
        .collect();
    let configurations = [
        format!(
            r#"{{"include": ["camunda_admin"], "typeCheckingMode": "strict", "pythonVersion": "3.9", {}}}"#,
            off.join(", ")
        ),
        r#"{"include": ["typed_usage.py", "provision.py", "quickstart.py"], "typeCheckingMode": "strict",
            "enableTypeIgnoreComments": false, "reportUnnecessaryTypeIgnoreComment": "error",
            "reportWildcardImportFromLibrary": "none"}"#
            .to_owned(),
    ];
    for configuration in configurations {
        fs::write(folder.path().join("pyrightconfig.json"), configuration).unwrap();
        let mut command = Command::new(&python.program);
        command
            .current_dir(folder.path())
            .args(["-m", "pyright", "-p", ".", "--pythonpath"])
            .arg(&python.program);
        run(command);
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = Command::new(&python.program);
    // It takes the first interpreter in PATH, whatever `--pythonpath` says.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(python.program.parent().unwrap().to_owned())
        .chain(std::env::split_paths(&path));
    command
        .current_dir(elsewhere.path())
        .env("PATH", std::env::join_paths(folders).unwrap())
        .args([
            "-m",
            "pyright",
            "--verifytypes",
            "camunda_admin",
            "--ignoreexternal",
        ]);
    let report = run(command);
    assert!(report.contains("Type completeness score: 100%"), "{report}");
}

/// Otherwise a wheel for this system would contain the library of another one.
#[cfg(unix)]
#[test]
fn wheel_of_another_target_requires_a_platform_tag() {
    use std::os::unix::fs::PermissionsExt;

    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let cargo = folder.path().join("cargo");
    let built = folder.path().join("library.so");
    let artifact = format!(
        r#"{{"reason":"compiler-artifact","filenames":["{}"]}}"#,
        built.display()
    );
    let script =
        format!("#!/bin/sh\ncase $1 in -vV) echo 'host: a-b-c' ;; *) echo '{artifact}' ;; esac\n");
    fs::write(&cargo, script).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("Cargo.toml"), "").unwrap();
    let program = "import pathlib, sys; sys.path.insert(0, sys.argv[1]); import cargo_build\n\
                   print(cargo_build.cargo_build(pathlib.Path(sys.argv[2]), (), 'library.so'))";
    for (target, tag, is_built) in [
        ("", "", true),
        ("a-b-c", "", true),
        ("d-e-f", "", false),
        ("d-e-f", "linux_d", true),
    ] {
        let mut command = Command::new(&python.program);
        command
            .args(["-B", "-c", program])
            .arg(top().join("bindings"))
            .arg(folder.path())
            .env("CARGO", &cargo)
            .env("CARGO_BUILD_TARGET", target)
            .env("CAMUNDA_ADMIN_PLATFORM", tag);
        let ended = run_to_end(command, PROGRAM_LIMIT);
        assert_eq!(ended.status.success(), is_built, "{}", ended.stderr);
        if is_built {
            assert_eq!(ended.stdout.trim(), built.to_str().unwrap());
        } else {
            assert!(
                ended.stderr.contains("set CAMUNDA_ADMIN_PLATFORM"),
                "{}",
                ended.stderr
            );
        }
    }
}

/// Returns a command that copies a folder.
fn copied(from: &Path, to: &Path) -> Command {
    let mut command = Command::new("cp");
    command.arg("-r").arg(from).arg(to);
    command
}

/// Builds in a copy of the repository's files, since an editable build writes into its source folder.
#[test]
fn source_distribution_and_editable_wheel_are_complete() {
    let Some(python) = python() else { return };
    let place = tempfile::tempdir().unwrap();
    let copied = place.path().join("bindings/python");
    fs::create_dir_all(copied.parent().unwrap()).unwrap();
    for (from, to) in [
        ("bindings/python", "bindings/python"),
        ("bindings/c", "bindings/c"),
        ("bindings/cargo_build.py", "bindings/cargo_build.py"),
        ("src", "src"),
        ("include", "include"),
        ("build.rs", "build.rs"),
        ("Cargo.lock", "Cargo.lock"),
        ("Cargo.toml", "Cargo.toml"),
        ("LICENSE", "LICENSE"),
        ("README.md", "README.md"),
        ("THIRD-PARTY-LICENSES.txt", "THIRD-PARTY-LICENSES.txt"),
    ] {
        fs::create_dir_all(place.path().join(to).parent().unwrap()).unwrap();
        let mut command = Command::new("cp");
        command.arg("-R").arg(top().join(from));
        command.arg(place.path().join(to));
        run(command);
    }
    let out = place.path().join("out");
    fs::create_dir(&out).unwrap();
    let in_package = |arguments: &[&str]| {
        let mut command = Command::new(&python.program);
        command.args(arguments).arg(&out).current_dir(&copied);
        command.env("CAMUNDA_ADMIN_LIBRARY", &python.library);
        run(command)
    };

    let list = "import hatchling.build as b, sys, tarfile, os\n\
                name = b.build_sdist(sys.argv[1])\n\
                packed = tarfile.open(os.path.join(sys.argv[1], name))\n\
                for it in packed.getmembers(): print(it.name.split('/', 1)[1], it.isreg())\n\
                manifest = next(m for m in packed.getmembers() if m.name.endswith('rust/Cargo.toml'))\n\
                print(packed.extractfile(manifest).read().decode())";
    let listed = in_package(&["-c", list]);
    for name in [
        "LICENSE",
        "PKG-INFO",
        "cargo_build.py",
        "hatch_build.py",
        "rust/Cargo.lock",
        "rust/Cargo.toml",
        "rust/LICENSE",
        "rust/bindings/c/library/Cargo.toml",
        "rust/bindings/c/library/lib.rs",
        "rust/build.rs",
        "rust/include/camunda_admin.h",
        "rust/src/ffi/operations_generated.rs",
        "rust/src/lib.rs",
        "src/camunda_admin/_library.py",
    ] {
        let line = format!("{name} True");
        assert!(listed.lines().any(|it| it == line), "{name}:\n{listed}");
    }
    assert!(listed.contains("\nversion = \""), "{listed}");
    for line in listed.lines() {
        assert!(!line.contains("path = \"tests/sandbox\""), "{line}");
    }

    let import = "import hatchling.build as b, os, site, subprocess, sys, zipfile\n\
                  name = b.build_editable(sys.argv[1])\n\
                  assert name.startswith('camunda_admin-') and '-py3-none-' in name, name\n\
                  zipfile.ZipFile(os.path.join(sys.argv[1], name)).extractall(sys.argv[1])\n\
                  code = 'import site, sys; site.addsitedir(sys.argv[1]); import camunda_admin; '\n\
                  code += 'print(camunda_admin.__file__)'\n\
                  subprocess.run([sys.executable, '-S', '-c', code, sys.argv[1]], check=True)";
    let output = in_package(&["-c", import]);
    let imported = fs::canonicalize(copied.join("src/camunda_admin/__init__.py")).unwrap();
    assert!(output.contains(imported.to_str().unwrap()), "{output}");
}

/// Each package has a copy, since build backends pack no file from outside of its folder.
#[test]
fn licenses_of_the_packages_are_that_of_the_repository() {
    let license = fs::read_to_string(top().join("LICENSE")).unwrap();
    for package in [
        "bindings/python",
        "bindings/python-sandbox",
        "tests/sandbox",
    ] {
        let copy = fs::read_to_string(top().join(package).join("LICENSE")).unwrap();
        assert!(copy == license, "{package}/LICENSE");
    }
}

fn sandbox() -> Sandbox {
    Sandbox::builder()
        .rejection_delay(Duration::from_millis(300))
        .start()
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn package() -> PathBuf {
    top().join("bindings/python")
}

/// A Python interpreter with the package installed.
struct Python {
    program: PathBuf,
    /// The library in the package.
    library: PathBuf,
}

impl Python {
    /// Returns whether a module is installed, after an attempt to install it from PyPI. `requirement` is the name
    /// of the module, which may have a maximum version.
    fn has_tool(&self, requirement: &str) -> bool {
        let module = requirement.split("<=").next().unwrap();
        // pip does not lock the environment.
        static INSTALLING: Mutex<()> = Mutex::new(());
        let _guard = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
        let is_installed = || {
            let mut command = Command::new(&self.program);
            command.args(["-c", &format!("import {module}")]);
            run_to_end(command, PROGRAM_LIMIT).status.success()
        };
        if is_installed() {
            return true;
        }
        pip_install(&self.program, requirement) && is_installed()
    }

    /// Returns the folder of the installed package.
    fn package(&self) -> PathBuf {
        let mut command = Command::new(&self.program);
        command.args(["-c", "import camunda_admin; print(*camunda_admin.__path__)"]);
        PathBuf::from(run(command).trim())
    }

    /// Returns a command with the environment of the sandbox and `home` as its home directory.
    fn command(&self, sandbox: &Sandbox, home: &Path) -> Command {
        let mut command = Command::new(&self.program);
        // Runs the installed package, and writes no byte code into the source tree.
        command.args(["-B", "-X", "faulthandler"]).current_dir(home);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["CAMUNDA_", "ZEEBE_", "PYTHON"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
            {
                command.env_remove(&*name);
            }
        }
        command
            .env("HOME", home)
            .env("XDG_CACHE_HOME", home.join("cache"));
        command.env("CAMUNDA_TOKEN_CACHE_DIR", home.join("tokens"));
        command.envs(sandbox.environment());
        command
    }
}

/// Installs a package from PyPI. Returns whether this succeeded.
fn pip_install(python: &Path, package: &str) -> bool {
    succeeds_eventually(|| {
        let mut command = Command::new(python);
        command.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            package,
        ]);
        command
    })
}

/// Runs a command that downloads, up to three times, and returns whether it succeeded: a registry may fail
/// once.
fn succeeds_eventually(command: impl Fn() -> Command) -> bool {
    (0..3).any(|_| run_to_end(command(), SLOW_PROGRAM_LIMIT).status.success())
}

/// Creates the virtual environment and installs the package, once per process.
fn python() -> Option<&'static Python> {
    static PYTHON: OnceCell<Option<Python>> = OnceCell::new();
    let python = PYTHON.get_or_init(|| {
        let Some(system) = find("python3") else {
            missing("python3");
            return None;
        };
        let library = library();
        let folder = library.folder();
        // One environment per version of the interpreter, which cannot load extensions of another.
        let mut version = Command::new(&system);
        version.args(["-c", "import sys; print('%s-%d.%d.%d' % ((sys.implementation.name,) + sys.version_info[:3]))"]);
        let environment = folder.join("python").join(run(version).trim());
        let program = environment.join("bin/python");
        let works = || {
            let mut command = Command::new(&program);
            command.args(["-c", "import pip"]);
            run_to_end(command, PROGRAM_LIMIT).status.success()
        };
        if !(program.is_file() && works()) {
            let _ = fs::remove_dir_all(&environment);
            let mut command = Command::new(&system);
            command.args(["-m", "venv"]).arg(&environment);
            run(command);
        }
        let has_backend = || {
            let mut command = Command::new(&program);
            command.args(["-c", "import hatchling"]);
            run_to_end(command, PROGRAM_LIMIT).status.success()
        };
        if !has_backend() && !pip_install(&program, "hatchling>=1.27") {
            missing("hatchling (from PyPI)");
            return None;
        }
        // The wheel contains the library that is already built.
        let mut command = Command::new(&program);
        command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        command.args(["--no-index", "--no-deps", "--no-build-isolation", "--force-reinstall"]);
        command.arg(package());
        command.env("CAMUNDA_ADMIN_LIBRARY", &library.shared).env("PYTHONDONTWRITEBYTECODE", "1");
        run(command);
        Some(Python {
            program,
            library: library.shared.clone(),
        })
    });
    python.as_ref()
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Prints the name of a missing program; with `CI=true` panics.
fn missing(what: &str) {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!in_ci, "{what} is required with CI=true, but is missing");
    println!("skipped: {what} is missing");
}

/// Runs a command that must succeed within the limit. Returns its standard output and error.
fn run(mut command: Command) -> String {
    let (reader, writer) = std::io::pipe().unwrap();
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone().unwrap())
        .stderr(writer);
    // Without the environment, which contains secrets.
    let arguments: Vec<_> = command.get_args().map(OsStr::to_owned).collect();
    let shown = format!("{:?} {arguments:?}", command.get_program());
    // Starting drops the command with its writing ends; only then can the reader reach the end.
    let program = Limited::start(command, SLOW_PROGRAM_LIMIT);
    let output = text_of(reader).recv().unwrap();
    match program.wait() {
        Ok(status) => assert!(status.success(), "{shown}\n{status}\n{output}"),
        // The output has the Python stacks of all threads.
        Err(report) => panic!("{report}\noutput:\n{output}"),
    }
    output
}
