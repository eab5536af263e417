//! The tests of the Python package of the mock server.

use std::process::Command;

use crate::tools::{PROGRAM, cache, find, missing, repository, run, try_run};

#[test]
fn python_package_passes_its_tests() {
    let Some(python) = find("python3") else {
        return;
    };
    let environment = cache("python-sandbox");
    let program = environment.join("bin/python");
    let has_pytest = |program| {
        program_exists(program) && try_run(Command::new(program).args(["-m", "pytest", "-V"])).0
    };
    if !has_pytest(&program) {
        run(Command::new(python)
            .args(["-m", "venv", "--clear"])
            .arg(&environment));
        let mut install = Command::new(&program);
        install.args(["-m", "pip", "install", "--quiet", "pytest>=7,<10"]);
        if !try_run(&mut install).0 {
            return missing("pytest, from the network,");
        }
    }
    let package = repository().join("bindings/python-sandbox");
    let mut test = Command::new(&program);
    test.args([
        "-B",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests",
    ])
    .current_dir(&package)
    .env("PYTHONPATH", package.join("src"))
    .env("PYTHONDONTWRITEBYTECODE", "1")
    .env("PYTEST_PLUGINS", "camunda_admin_sandbox.pytest_plugin")
    .env("CAMUNDA_ADMIN_SANDBOX", PROGRAM);
    let output = run(&mut test);
    assert!(output.contains(" passed"), "{output}");
}

fn program_exists(program: &std::path::Path) -> bool {
    program.is_file()
}
