//! Help, messages, colour and exit codes, whatever the command.

use std::io::Read;
use std::process::Stdio;

use crate::support::program::{electra, run};
use crate::support::small_run::{SmallRun, metrics};

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

/// Where every write fails with "no space left".
#[cfg(target_os = "linux")]
fn full() -> Stdio {
    std::fs::File::options().write(true).open("/dev/full").expect("Linux has it").into()
}

#[cfg(target_os = "linux")]
#[test]
fn messages_that_cannot_be_printed_change_nothing() {
    let small = SmallRun::new();
    let code = |arguments: &[String]| {
        let mut full_disk = electra(arguments);
        let full_disk = full_disk.stderr(full()).stdout(Stdio::null()).status().expect("it starts");
        full_disk.code()
    };
    let words = |line: &str| line.split(' ').map(|word| word.replace("SMALL", &small.shown(""))).collect::<Vec<_>>();
    assert_eq!(code(&small.arguments("run", &["train.steps=60"])), Some(0));
    assert_eq!(metrics(&small.path("run")).last().unwrap()["step"], 60);
    assert!(small.path("run/discriminator/model.safetensors").is_file());
    assert_eq!(code(&words("tokenizer train --input SMALLtext.txt --vocab-size 200 --out SMALLt")), Some(0));
    assert!(small.path("t/tokenizer.json").is_file());
    assert_eq!(code(&words("data build -v --input SMALLtext.txt --tokenizer SMALLt --out SMALLd")), Some(0));
    assert!(small.path("d/manifest.json").is_file());
    // Errors keep their codes, clap's too.
    assert_eq!(code(&words("detect --model SMALLnowhere text")), Some(2));
    assert_eq!(code(&words("pretrain --resume --out SMALLrun --set seed=8")), Some(2));
    assert_eq!(code(&words("devise")), Some(2));
    // A reader that goes away in the middle is the same.
    let mut child = electra(small.arguments("piped", &[])).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(small.path("piped/discriminator/model.safetensors").is_file());
}

#[cfg(target_os = "linux")]
#[test]
fn results_that_cannot_be_written_are_an_error() {
    for arguments in [&["devices"][..], &["devices", "--json"], &["--help"], &["--version"]] {
        let ended = electra(arguments).stdout(full()).output().expect("it starts");
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains("standard output: cannot write"), "{arguments:?}: {stderr}");
        let both = electra(arguments).stdout(full()).stderr(full()).status().expect("it starts");
        assert_eq!(both.code(), Some(2), "{arguments:?}");
    }
}
