//! A CMake project whose test runs with the mock server.

use std::process::Command;

use crate::tools::{add_program_to_path, cache, find, repository, run};

#[test]
fn cmake_test_runs_program_with_server() {
    let (Some(cmake), Some(ctest)) = (find("cmake"), find("ctest")) else {
        return;
    };
    let source = repository().join("tests/sandbox/tests/cmake");
    let build = cache("cmake");
    let mut configure = Command::new(&cmake);
    configure.arg("-S").arg(&source).arg("-B").arg(&build);
    run(&mut configure);
    run(Command::new(&cmake).arg("--build").arg(&build));
    let mut test = Command::new(ctest);
    test.arg("--output-on-failure").current_dir(&build);
    add_program_to_path(&mut test);
    let output = run(&mut test);
    assert!(output.contains("100% tests passed"), "{output}");

    let line = "add_test(NAME rename COMMAND camunda-admin-sandbox --seed 1 -- \
                $<TARGET_FILE:app_test> rename)";
    let file = std::fs::read_to_string(source.join("CMakeLists.txt")).unwrap();
    assert!(file.contains(line));
    for page in ["tests/sandbox/README.md", "docs/sandbox.md"] {
        let page = std::fs::read_to_string(repository().join(page)).unwrap();
        assert!(page.contains(line));
    }
}
