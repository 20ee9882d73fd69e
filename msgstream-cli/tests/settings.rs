//! Settings from the URL, the environment and a file, and what all commands share.
#![allow(clippy::unwrap_used)]

mod kit;

use std::fs;

use crate::kit::{msgstream, run, texts, url};

#[test]
fn a_broker_may_be_named_and_options_come_from_url_environment_and_file() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    let logs = url(&folder.path().join("logs"));
    let text = format!("[brokers]\nshop = '{logs}'\n[options.file]\nprefix = 'from-file-'\n");
    fs::write(&settings, text).unwrap();
    let config = settings.to_str().unwrap();

    run(&["channels", "create", "shop", "orders", "--config", config], 0);
    assert_eq!(run(&["channels", "list", &logs], 0).0, "from-file-orders\n");

    let mut command = msgstream(["channels", "create", "shop", "orders"]);
    command.env("MSGSTREAM_CONFIG", config).env("MSGSTREAM_FILE_OPTIONS", "prefix=from-env-");
    assert!(command.status().unwrap().success());
    let given = format!("{logs}?prefix=given-");
    run(&["--config", config, "channels", "create", &given, "orders"], 0);
    let all = "from-env-orders\nfrom-file-orders\ngiven-orders\n";
    assert_eq!(run(&["channels", "list", &logs], 0).0, all);

    let (_, unknown) = run(&["channels", "list", "shp", "--config", config], 2);
    assert!(unknown.contains("did you mean `shop`?"), "{unknown}");
}

#[test]
fn settings_that_cant_be_used_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    let config = settings.to_str().unwrap();
    for (text, exit, told) in [
        ("broker = 7", 2, "did you mean `brokers`?"),
        ("[options.mem]\nmax_paylod = 7", 2, "did you mean `max_payload`?"),
        ("[brokers", 2, "line 1"),
    ] {
        fs::write(&settings, text).unwrap();
        let (_, error) = run(&["channels", "list", "mem://", "--config", config], exit);
        assert!(error.contains(told), "{error}");
    }
    let (_, missing) = run(&["channels", "list", "mem://", "--config", "/nowhere/settings"], 1);
    assert!(missing.contains("`/nowhere/settings` can't be opened"), "{missing}");
}

#[test]
fn quiet_tells_errors_alone_and_colour_is_used_if_it_is_wanted() {
    let create = ["channels", "create", "mem://", "orders"];
    assert_eq!(run(&create, 0).1, "created `orders`\n");
    assert_eq!(run(&[&create[..], &["--quiet"]].concat(), 0).1, "");
    let wrong = ["--quiet", "channels", "list", "nowhere"];
    assert!(run(&wrong, 2).1.starts_with("error: "), "{}", run(&wrong, 2).1);
    assert!(run(&[&wrong[..], &["--color", "always"]].concat(), 2).1.starts_with("\u{1b}["));
}

#[test]
fn completions_and_man_pages_name_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (script, _) = run(&["completions", shell], 0);
        assert!(script.contains("conformance"), "{shell}: {script}");
    }
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    run(&["man", pages.to_str().unwrap()], 0);
    let page = fs::read_to_string(pages.join("msgstream-channels-trim.1")).unwrap();
    assert!(page.contains("The first record that stays"), "{page}");
}

#[test]
fn the_suite_runs_on_a_url() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(folder.path());
    let output = msgstream(["conformance", url, "start::"]).output().unwrap();
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("| `seek_time` | yes |"), "{out}");
    assert!(out.contains("start::seek_goes_anywhere"), "{out}");
    assert_eq!(run(&["channels", "list", url], 0).0, "", "the suite left channels");

    let (named, _) = run(&["conformance", url, "seek_goes", "--list"], 0);
    assert_eq!(named, "start::seek_goes_anywhere\n");
    run(&["conformance", url, "no such scenario"], 2);
}
