//! Installs the library with `bindings/c/install.sh`, and uses the installation by pkg-config and CMake.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::library::{build_script, library};
use crate::limited::{Ended, SLOW_PROGRAM_LIMIT, run_to_end};
use crate::tools::{run, tool, top};

const VERSION: &str = env!("CARGO_PKG_VERSION");

const C_PROGRAM: &str = "#include <camunda_admin.h>\n\
     int main(void) { return camunda_abi_version() == CAMUNDA_ABI_VERSION ? 0 : 1; }\n";

const CPP_PROGRAM: &str = "#include <camunda_admin.hpp>\n\
     int main() { return camunda::Value::parse(\"[1]\")[0].integer() == 1 ? 0 : 1; }\n";

fn install_command() -> Command {
    let mut command = Command::new("sh");
    command
        .arg(top().join("bindings/c/install.sh"))
        .env("LIBRARY_DIR", library().folder())
        // Stripping the archive of a debug build takes seconds; only one test looks at the result.
        .env("STRIP", "true")
        .env_remove("DESTDIR");
    command
}

fn install(prefix: &Path) {
    let mut command = install_command();
    command.arg(prefix);
    run(command);
}

fn files_below(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let path = entry.path();
                let path = path.strip_prefix(folder).unwrap();
                found.insert(path.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
fn install_creates_versioned_library_links_and_license() {
    let stage = tempfile::tempdir().unwrap();
    let mut command = install_command();
    command
        .args(["--prefix", "/opt/camunda", "--libdir=lib/triple"])
        .env("DESTDIR", stage.path());
    run(command);
    let prefix = stage.path().join("opt/camunda");
    let real = format!("lib/triple/libcamunda_admin.so.{VERSION}");
    let expected = [
        "include/camunda_admin.h",
        "include/camunda_admin.hpp",
        "lib/triple/cmake/camunda_admin/camunda_admin-config-version.cmake",
        "lib/triple/cmake/camunda_admin/camunda_admin-config.cmake",
        "lib/triple/cmake/camunda_admin/camunda_admin-targets.cmake",
        "lib/triple/libcamunda_admin.a",
        "lib/triple/libcamunda_admin.so",
        "lib/triple/libcamunda_admin.so.0.1",
        &real,
        "lib/triple/pkgconfig/camunda_admin-shared.pc",
        "lib/triple/pkgconfig/camunda_admin-static.pc",
        "lib/triple/pkgconfig/camunda_admin.pc",
        "share/camunda_admin/camunda_admin.tsan.supp",
        "share/doc/camunda_admin/LICENSE",
        "share/doc/camunda_admin/THIRD-PARTY-LICENSES.txt",
    ];
    let found = files_below(&prefix);
    assert_eq!(found.iter().collect::<Vec<_>>(), expected);
    let target = |link: &str| fs::read_link(prefix.join("lib/triple").join(link)).unwrap();
    assert_eq!(
        target("libcamunda_admin.so"),
        Path::new("libcamunda_admin.so.0.1")
    );
    assert_eq!(
        target("libcamunda_admin.so.0.1"),
        Path::new(&real).file_name().unwrap()
    );
    let stage = stage.path().to_str().unwrap();
    for text in found
        .iter()
        .filter(|it| it.ends_with(".pc") || it.ends_with(".cmake"))
    {
        let content = fs::read_to_string(prefix.join(text)).unwrap();
        assert!(
            !content.contains(stage) && !content.contains('@'),
            "{text}:\n{content}"
        );
    }
}

#[test]
fn uninstall_removes_what_was_installed_and_nothing_else() {
    let stage = tempfile::tempdir().unwrap();
    let prefix = stage.path().join("prefix");
    let options = ["--libdir", "lib/triple", "--docdir", "share/licenses"];
    let with_options = || {
        let mut command = install_command();
        command.arg(&prefix).args(options);
        command
    };
    let uninstall = || {
        let mut command = with_options();
        // The library need not be built.
        command
            .arg("--uninstall")
            .env("LIBRARY_DIR", "/nonexistent");
        run(command);
    };
    run(with_options());
    fs::write(prefix.join("include/other.h"), "").unwrap();
    fs::write(prefix.join("share/licenses/other"), "").unwrap();
    uninstall();
    let other = ["include/other.h", "share/licenses/other"];
    assert_eq!(files_below(&prefix).iter().collect::<Vec<_>>(), other);
    for (folder, exists) in [
        ("lib/triple", true),
        ("lib/triple/cmake/camunda_admin", false),
        ("share/camunda_admin", false),
    ] {
        assert_eq!(prefix.join(folder).exists(), exists, "{folder}");
    }
    // Again, and with the links of a newer version.
    let libraries = prefix.join("lib/triple");
    fs::write(libraries.join("libcamunda_admin.so.0.1.99"), "").unwrap();
    std::os::unix::fs::symlink(
        "libcamunda_admin.so.0.1.99",
        libraries.join("libcamunda_admin.so.0.1"),
    )
    .unwrap();
    uninstall();
    let kept = [
        other[0],
        "lib/triple/libcamunda_admin.so.0.1",
        "lib/triple/libcamunda_admin.so.0.1.99",
        other[1],
    ];
    assert_eq!(files_below(&prefix).iter().collect::<Vec<_>>(), kept);
}

#[test]
fn install_changes_nothing_when_the_library_is_missing() {
    let stage = tempfile::tempdir().unwrap();
    let prefix = stage.path().join("prefix");
    for (arguments, status, message) in [
        (&["PREFIX"][..], 1, "cargo build --release --features capi"),
        (&["--prefx", "/x"], 2, "unknown option --prefx"),
        (&["--libdir"], 2, "--libdir requires a directory"),
        (&["/x", "/y"], 2, "more than one prefix"),
    ] {
        let mut command = install_command();
        command.env("LIBRARY_DIR", stage.path());
        for argument in arguments {
            match *argument {
                "PREFIX" => command.arg(&prefix),
                argument => command.arg(argument),
            };
        }
        let ended = run_to_end(command, SLOW_PROGRAM_LIMIT);
        assert_eq!(ended.status.code(), Some(status), "{}", ended.stderr);
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
    assert_eq!(fs::read_dir(stage.path()).unwrap().count(), 0);
}

/// Cargo puts the libraries of another target into a folder of its own.
#[test]
fn install_finds_the_library_of_another_target() {
    let stage = tempfile::tempdir().unwrap();
    let prefix = stage.path().join("prefix");
    let built = stage.path().join("target");
    for (target, folder) in [(None, "release"), (Some("s390x-a-b"), "s390x-a-b/release")] {
        let folder = built.join(folder);
        fs::create_dir_all(&folder).unwrap();
        let library = folder.join("libcamunda_admin.so");
        fs::write(&library, format!("camunda_abi_version {target:?}")).unwrap();
        let mut command = install_command();
        command
            .arg(&prefix)
            .env_remove("LIBRARY_DIR")
            .env_remove("CARGO_BUILD_TARGET")
            .env("CARGO_TARGET_DIR", &built);
        command.envs(target.map(|it| ("CARGO_BUILD_TARGET", it)));
        run(command);
        assert_eq!(
            fs::read(prefix.join("lib/libcamunda_admin.so")).unwrap(),
            fs::read(&library).unwrap()
        );
    }
}

#[test]
fn shared_library_is_named_after_its_abi() {
    let Some(readelf) = tool("readelf") else {
        return;
    };
    let mut command = Command::new(readelf);
    command.args(["-d", "-W"]).arg(&library().shared);
    let read = run(command);
    assert!(read.contains("soname: [libcamunda_admin.so.0.1]"), "{read}");
}

#[test]
fn link_for_the_dynamic_loader_points_to_the_built_library() {
    for (os, major, link, built) in [
        (
            "linux",
            "0",
            "libcamunda_admin.so.0.1",
            "libcamunda_admin.so",
        ),
        ("linux", "1", "libcamunda_admin.so.1", "libcamunda_admin.so"),
        (
            "macos",
            "0",
            "libcamunda_admin.0.1.dylib",
            "libcamunda_admin.dylib",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let names = build_script::names(os, major, "1").unwrap();
        names.link(folder.path());
        // It exists.
        names.link(folder.path());
        assert_eq!(
            fs::read_link(folder.path().join(link)).unwrap(),
            Path::new(built)
        );
    }
    assert!(build_script::names("windows", "0", "1").is_none());
}

#[test]
fn pkg_config_finds_moved_installation() {
    let (Some(pkg_config), Some(compiler)) = (tool("pkg-config"), tool("cc")) else {
        return;
    };
    let stage = tempfile::tempdir().unwrap();
    let mut command = install_command();
    command.arg(stage.path().join("first"));
    command.args(["--libdir", "lib/triple"]);
    run(command);
    let moved = stage.path().join("moved");
    fs::rename(stage.path().join("first"), &moved).unwrap();
    let libraries = moved.join("lib/triple");
    for (package, needs_shared) in [("camunda_admin", true), ("camunda_admin-static", false)] {
        let mut command = Command::new(&pkg_config);
        command.args(["--cflags", "--libs", package]);
        command.env("PKG_CONFIG_PATH", libraries.join("pkgconfig"));
        let flags = run(command);
        let binary = stage.path().join(package);
        let mut command = Command::new(&compiler);
        command.args(["-std=c11", "-D_POSIX_C_SOURCE=200809L"]);
        command
            .arg(top().join("tests/c/objects.c"))
            .arg("-o")
            .arg(&binary);
        command.args(flags.split_whitespace());
        run(command);
        let mut command = Command::new(&binary);
        command.env("LD_LIBRARY_PATH", &libraries);
        run(command);
        // Cargo sets it for tests, to a folder that contains the library.
        let mut command = Command::new(&binary);
        command.env_remove("LD_LIBRARY_PATH");
        let ended = run_to_end(command, SLOW_PROGRAM_LIMIT);
        assert_eq!(ended.status.success(), !needs_shared, "{}", ended.stderr);
    }
}

/// With and without `cc -static`, whose programs need no shared library.
#[test]
fn pkg_config_static_links_the_archive() {
    let (Some(pkg_config), Some(compiler)) = (tool("pkg-config"), tool("cc")) else {
        return;
    };
    let Some(readelf) = tool("readelf") else {
        return;
    };
    let stage = tempfile::tempdir().unwrap();
    install(stage.path());
    let mut command = Command::new(pkg_config);
    command.args(["--static", "--cflags", "--libs", "camunda_admin"]);
    command.env("PKG_CONFIG_PATH", stage.path().join("lib/pkgconfig"));
    let flags = run(command);
    for (name, option, absent) in [
        ("static", Some("-static"), "NEEDED"),
        ("dynamic", None, "libcamunda_admin"),
    ] {
        let binary = stage.path().join(name);
        let mut command = Command::new(&compiler);
        command.args(["-std=c11", "-D_POSIX_C_SOURCE=200809L"]);
        command.args(option);
        command.arg(top().join("tests/c/objects.c"));
        command.arg("-o").arg(&binary);
        command.args(flags.split_whitespace());
        run(command);
        let mut command = Command::new(&readelf);
        command.args(["-d", "-W"]).arg(&binary);
        let read = run(command);
        assert!(!read.contains(absent), "{name}: {read}");
        // Cargo sets it for tests, to a folder that contains the library.
        let mut command = Command::new(&binary);
        command.env_remove("LD_LIBRARY_PATH");
        run(command);
    }
}

/// `packaging/linker.sh` links a shared object with the version script that rustc passes.
#[test]
fn release_linker_gives_exported_symbols_a_version() {
    let (Some(compiler), Some(nm)) = (tool("cc"), tool("nm")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(
        path("library.c"),
        "int camunda_a(void) { return 1; }\nint other(void) { return 2; }\n",
    )
    .unwrap();
    // The form of rustc.
    let script = "{\n  global:\n    camunda_a;\n\n  local:\n    *;\n};\n";
    for (soname, expected) in [
        (
            "libcamunda_admin.so.0.1",
            &["camunda_a@@LIBCAMUNDA_ADMIN_0.1"][..],
        ),
        ("libother.so.1", &["camunda_a"]),
    ] {
        fs::write(path("script"), script).unwrap();
        let mut command = Command::new("sh");
        command.arg(top().join("packaging/linker.sh"));
        command.env("LINKER", &compiler);
        command.args(["-shared", "-fPIC"]).arg(path("library.c"));
        command.arg(format!("-Wl,--version-script={}", path("script").display()));
        command.arg(format!("-Wl,-soname,{soname}"));
        command.arg("-o").arg(path("library.so"));
        run(command);
        let mut command = Command::new(&nm);
        command.args(["-D", "--defined-only", "--format=posix"]);
        command.arg(path("library.so"));
        let exported = run(command);
        let names: Vec<_> = exported
            .lines()
            .filter(|line| line.contains(" T "))
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(names, expected, "{exported}");
    }
}

/// A CMake project that uses an installation.
struct Project {
    folder: tempfile::TempDir,
    cmake: PathBuf,
}

impl Project {
    /// Writes a project that finds the package with these arguments and adds these targets.
    fn new(find: &str, targets: &str) -> Option<Project> {
        let cmake = tool("cmake")?;
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "cmake_minimum_required(VERSION 3.14)\nproject(consumer C CXX)\n\
             find_package(camunda_admin {find})\n{targets}\n"
        );
        fs::write(folder.path().join("CMakeLists.txt"), text).unwrap();
        fs::write(folder.path().join("program.c"), C_PROGRAM).unwrap();
        fs::write(folder.path().join("program.cpp"), CPP_PROGRAM).unwrap();
        Some(Project { folder, cmake })
    }

    fn build(&self) -> PathBuf {
        self.folder.path().join("build")
    }

    fn configure(&self, prefix: &Path) -> Ended {
        let mut command = Command::new(&self.cmake);
        command.arg("-S").arg(self.folder.path());
        command.arg("-B").arg(self.build());
        command.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
        run_to_end(command, SLOW_PROGRAM_LIMIT)
    }

    fn make(&self, prefix: &Path) {
        let ended = self.configure(prefix);
        assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
        let mut command = Command::new(&self.cmake);
        command.arg("--build").arg(self.build());
        run(command);
    }
}

#[test]
fn cmake_links_shared_and_static_library_of_moved_installation() {
    let targets = "set(CMAKE_CXX_STANDARD 14)\n\
         add_executable(c_plain program.c)\n\
         target_link_libraries(c_plain PRIVATE camunda_admin::camunda_admin)\n\
         add_executable(cpp_shared program.cpp)\n\
         target_link_libraries(cpp_shared PRIVATE camunda_admin::shared)\n\
         add_executable(c_static program.c)\n\
         target_link_libraries(c_static PRIVATE camunda_admin::static)\n\
         add_library(plugin MODULE program.c)\n\
         target_link_libraries(plugin PRIVATE camunda_admin::static)\n";
    let Some(project) = Project::new("0.1 REQUIRED COMPONENTS shared static", targets) else {
        return;
    };
    let stage = tempfile::tempdir().unwrap();
    install(&stage.path().join("first"));
    let moved = stage.path().join("moved");
    fs::rename(stage.path().join("first"), &moved).unwrap();
    project.make(&moved);
    for program in ["c_plain", "cpp_shared", "c_static"] {
        run(Command::new(project.build().join(program)));
    }
    let Some(nm) = tool("nm") else { return };
    let mut command = Command::new(nm);
    command.args(["-D", "--defined-only", "--format=posix"]);
    command.arg(project.build().join("libplugin.so"));
    let exported = run(command);
    let names: Vec<_> = exported
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.starts_with('_'))
        .collect();
    assert_eq!(names, ["main"], "of the archive: {exported}");
}

#[test]
fn installation_in_absolute_directory_with_special_characters_is_found() {
    let Some(pkg_config) = tool("pkg-config") else {
        return;
    };
    let stage = tempfile::tempdir().unwrap();
    let prefix = stage.path().join(r"a & b|c\1");
    let libraries = prefix.join("lib");
    let mut command = install_command();
    command.arg("--libdir").arg(&libraries).arg(&prefix);
    run(command);
    // The shell removes the quotes of the flags.
    let script = "eval \"set -- $(\"$0\" --libs camunda_admin-shared)\"; printf '%s' \"$1\"";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(pkg_config);
    command.env("PKG_CONFIG_PATH", libraries.join("pkgconfig"));
    assert_eq!(run(command), format!("-L{}", libraries.display()));
    let cmake = libraries.join("cmake/camunda_admin/camunda_admin-config.cmake");
    let text = fs::read_to_string(cmake).unwrap();
    let quoted = libraries.display().to_string().replace('\\', r"\\");
    assert!(text.contains(&format!("\"{quoted}\"")), "{text}");
}

/// Debian's `/lib` is a link to `/usr/lib`, and vcpkg has CMake files in `share`.
#[test]
fn cmake_files_are_found_in_linked_and_in_other_directory() {
    let targets = "add_executable(c_plain program.c)\n\
         target_link_libraries(c_plain PRIVATE camunda_admin::camunda_admin)\n";
    for arguments in [&[][..], &["--cmakedir", "share/camunda_admin"]] {
        let Some(project) = Project::new("REQUIRED", targets) else {
            return;
        };
        let stage = tempfile::tempdir().unwrap();
        let mut command = install_command();
        command.args(arguments).arg(stage.path().join("usr"));
        run(command);
        for folder in ["lib", "share"] {
            std::os::unix::fs::symlink(Path::new("usr").join(folder), stage.path().join(folder))
                .unwrap();
        }
        project.make(stage.path());
        run(Command::new(project.build().join("c_plain")));
    }
}

#[test]
fn cmake_honours_versions_and_components() {
    let stage = tempfile::tempdir().unwrap();
    install(stage.path());
    // Only the shared library.
    let partial = tempfile::tempdir().unwrap();
    install(partial.path());
    fs::remove_file(partial.path().join("lib/libcamunda_admin.a")).unwrap();
    let no_library = tempfile::tempdir().unwrap();
    for (prefix, find, accepted, message) in [
        (&stage, "", true, ""),
        (&stage, "0.1", true, ""),
        (&stage, "0.1.0 EXACT", true, ""),
        (&stage, "0.1...0.3", true, ""),
        (&stage, "0.1...<0.2", true, ""),
        (&stage, "0.0.1...<0.1", false, "0.1.0"),
        (&stage, "0.2", false, "0.1.0"),
        (&stage, "0.0.9", false, "0.1.0"),
        (&stage, "1", false, "0.1.0"),
        (&stage, "0.1 COMPONENTS static", true, ""),
        (
            &stage,
            "COMPONENTS python",
            false,
            "unknown component `python`",
        ),
        (&stage, "OPTIONAL_COMPONENTS python", true, ""),
        (&partial, "COMPONENTS shared", true, ""),
        (&partial, "OPTIONAL_COMPONENTS static", true, ""),
        (
            &partial,
            "COMPONENTS static",
            false,
            "static library is not installed",
        ),
        (&no_library, "", false, "camunda_admin"),
    ] {
        let Some(project) = Project::new(&format!("{find} REQUIRED"), "") else {
            return;
        };
        let ended = project.configure(prefix.path());
        assert_eq!(ended.status.success(), accepted, "{find}: {}", ended.stderr);
        // CMake breaks lines.
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            one_line(&ended.stderr).contains(message),
            "{find}: {}",
            ended.stderr
        );
    }
}

/// The targets of a project that is included by `add_subdirectory` are those of `find_package`.
#[test]
fn cmake_defines_targets_of_subdirectory() {
    let Some(cmake) = tool("cmake") else { return };
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "cmake_minimum_required(VERSION 3.14)\nproject(consumer C CXX)\n\
         add_subdirectory({} library)\n\
         foreach(target shared static camunda_admin)\n\
           if(NOT TARGET camunda_admin::${{target}})\n\
             message(FATAL_ERROR \"no target camunda_admin::${{target}}\")\n\
           endif()\n\
         endforeach()\n\
         add_executable(consumer program.c)\n\
         target_link_libraries(consumer PRIVATE camunda_admin::camunda_admin)\n",
        top().display()
    );
    fs::write(folder.path().join("CMakeLists.txt"), text).unwrap();
    fs::write(folder.path().join("program.c"), C_PROGRAM).unwrap();
    // In place of cargo, which would compile everything again: puts the library that is already built
    // into the target folder, below the one of `--target`, if any.
    let cargo = folder.path().join("cargo");
    let script = format!(
        "#!/bin/sh\ntest -z \"$CARGO_BUILD_TARGET\" || exit 1\n\
         while [ \"$1\" != --target-dir ]; do shift; done\n\
         mkdir -p \"$2/$4/release\"\ncp -P {}/libcamunda_admin.* \"$2/$4/release/\"\n",
        library().folder().display()
    );
    fs::write(&cargo, script).unwrap();
    let mut command = Command::new("chmod");
    command.arg("755").arg(&cargo);
    run(command);
    for target in ["", "x86_64-unknown-linux-gnu"] {
        let build = folder.path().join(format!("build{target}"));
        let mut command = Command::new(&cmake);
        command.arg("-S").arg(folder.path()).arg("-B").arg(&build);
        command.arg(format!("-DCARGO_EXECUTABLE={}", cargo.display()));
        command.env("CARGO_BUILD_TARGET", target);
        run(command);
        let mut command = Command::new(&cmake);
        command.arg("--build").arg(&build);
        command.env("CARGO_BUILD_TARGET", "that of another project");
        run(command);
        run(Command::new(build.join("consumer")));
        let libraries = build.join("library/target").join(target).join("release");
        assert!(libraries.join("libcamunda_admin.so").exists());
    }
}
