//! Help, messages, colour and exit codes, whatever the command.

use std::io::Read;
use std::process::Stdio;

use crate::support::program::{electra, run};

#[test]
fn wrong_arguments_are_one_message_with_exit_code_two() {
    run(["devise"]).expect_bad_input(&["devise", "devices"]);
    run(["devices", "--jsn"]).expect_bad_input(&["--jsn", "--json"]);
    run(["--color", "sometimes", "devices"]).expect_bad_input(&["sometimes", "always"]);
    run(["--quiet", "--verbose", "devices"]).expect_bad_input(&["--quiet", "--verbose"]);
}

#[test]
fn help_and_version_are_results() {
    for arguments in [["--help"].as_slice(), &["help", "devices"], &["devices", "--help"]] {
        let help = run(arguments).expect_success();
        assert!(help.stdout.contains("Usage: electra") && help.stdout.contains("Examples:"), "{help:#?}");
        assert_eq!(help.stderr, "");
    }
    let version = run(["--version"]).expect_success().stdout;
    assert_eq!(version, format!("electra {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn global_flags_stand_before_or_after_the_command() {
    run(["--quiet", "devices"]).expect_success();
    run(["devices", "--quiet", "--color=never"]).expect_success();
}

#[test]
fn colour_follows_the_flag_and_no_color() {
    const ESCAPE: char = '\x1b';
    let coloured = |arguments: &[&str]| run(arguments).expect_success().stdout.contains(ESCAPE);
    assert!(!coloured(&["devices"]), "standard output is no terminal here");
    assert!(coloured(&["devices", "--color=always"]));
    assert!(coloured(&["--color", "always", "devices"]));
    assert!(coloured(&["--color=always", "--help"]));
    let forced = electra(["devices", "--color=always"]).env("NO_COLOR", "1").output().expect("the program starts");
    assert!(String::from_utf8_lossy(&forced.stdout).contains(ESCAPE), "the flag is the more explicit wish");
    let plain = electra(["devices"]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output().expect("it starts");
    assert!(plain.status.success());
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child =
        electra(["devices", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // The read end is closed before the program, which first asks for adapters, has anything to write.
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("UTF-8");
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "{stderr}");
    assert_eq!(stderr, "");
}
