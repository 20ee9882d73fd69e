//! Settings from the URL, the environment and a file, and what all commands share.

use std::fs;

use serde_json::Value;

use crate::kit::{json_lines, msgstream, run, texts, url};

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
        ("[options.fiel]\nsync = 'os'", 2, "there is no scheme `fiel` (did you mean `file`?)"),
        ("[options.kafk]", 2, "did you mean `kafka`?"),
        // Also if no URL has this scheme.
        ("[options.file]\nsnyc = 'os'", 2, "did you mean `sync`?"),
    ] {
        fs::write(&settings, text).unwrap();
        let (_, error) = run(&["channels", "list", "mem://", "--config", config], exit);
        assert!(error.contains(told), "{error}");
    }
    let (_, missing) = run(&["channels", "list", "mem://", "--config", "/nowhere/settings"], 2);
    assert!(missing.contains("the file can't be read: No such file"), "{missing}");
    // What isn't compiled in may be there.
    fs::write(&settings, "[options.kafka]\ntimeout_ms = 5").unwrap();
    run(&["channels", "list", "mem://", "--config", config], 0);
}

#[test]
fn schemes_and_variables_that_are_near_are_named() {
    let error = |args: &[&str], variable: &str| {
        let mut command = msgstream(args.iter().copied());
        let output = command.env(variable, "snyc=os").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        texts(&output).1
    };
    let list = |url, variable| error(&["channels", "list", url], variable);
    for (url, variable, told) in [
        ("fil:///tmp/shop", "OTHER", "there is no scheme `fil` (did you mean `file`?)"),
        ("kafk://localhost", "OTHER", "(did you mean `kafka`?)"),
        ("mem://", "MSGSTREAM_FIEL_OPTIONS", "(did you mean `MSGSTREAM_FILE_OPTIONS`?)"),
        ("mem://", "MSGSTREAM_FILE_OPTIONS", "`MSGSTREAM_FILE_OPTIONS` of the environment can't"),
        ("mem://", "MSGSTREAM_FILE_OPTIONS", "(did you mean `sync`?)"),
        ("shop", "OTHER", "`shop` is neither a URL"),
    ] {
        let found = list(url, variable);
        assert!(found.contains(told), "{url} {variable}: {found}");
    }
}

#[test]
fn quiet_tells_errors_alone_and_colour_is_used_if_it_is_wanted() {
    let create = ["channels", "create", "mem://", "orders"];
    assert_eq!(run(&create, 0).1, "created `orders`\n");
    assert_eq!(run(&[&create[..], &["--quiet"]].concat(), 0).1, "");
    let wrong = ["--quiet", "channels", "list", "nowhere"];
    assert!(run(&wrong, 2).1.starts_with("error: "), "{}", run(&wrong, 2).1);
    for wrong in [&wrong[..], &["--quiet", "channels", "lsit"]] {
        for (color, begin) in [("always", "\u{1b}["), ("never", "error: ")] {
            let (_, told) = run(&[wrong, &["--color", color]].concat(), 2);
            assert!(told.starts_with(begin), "{color}: {told}");
        }
    }
    for (color, begin) in [("always", "\u{1b}["), ("never", "error "), ("auto", "error ")] {
        let (found, _) = run(&["doctor", "mem://", "nowhere", "--color", color], 1);
        assert!(found.starts_with(begin), "{color}: {found}");
    }
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
    let (named, _) = run(&["conformance", url, "seek_goes", "--list", "--json"], 0);
    assert_eq!(named, "{\"scenario\":\"start::seek_goes_anywhere\"}\n");
    let (outcomes, told) = run(&["conformance", url, "start::", "--json"], 0);
    let outcomes = json_lines(&outcomes);
    let passed = |outcome: &&Value| outcome["result"] == "passed" && outcome["reason"].is_null();
    assert!(outcomes.iter().filter(passed).count() > 3, "{outcomes:?}\n{told}");
    let of_seek = |outcome: &Value| outcome["scenario"] == "start::seek_goes_anywhere";
    assert!(outcomes.iter().any(of_seek), "{outcomes:?}");
    run(&["conformance", url, "no such scenario"], 2);
}
