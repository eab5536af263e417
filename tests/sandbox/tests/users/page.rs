//! The page at `/`, in headless Chromium over the DevTools protocol.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use camunda_admin_sandbox::Sandbox;
use serde_json::{Value, json};

use crate::limited::{Limited, PROGRAM_LIMIT};
use crate::tools::{cache, find, missing};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Browser with one page.
struct Browser {
    _program: Limited,
    commands: ChildStdin,
    messages: Receiver<Value>,
    next_id: u64,
    session: Option<String>,
}

impl Browser {
    fn open(program: &std::path::Path, url: &str) -> Self {
        // The protocol uses the descriptors 3 and 4, with a zero byte after each message.
        let script = "exec \"$0\" --headless=new --no-sandbox --disable-gpu --no-first-run \
                      --disable-dev-shm-usage --user-data-dir=\"$1\" --remote-debugging-pipe \
                      about:blank 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let profile = cache("chromium");
        std::fs::remove_dir_all(&profile).unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .arg(program)
            .arg(profile)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut program = Limited::start(command, PROGRAM_LIMIT);
        let commands = program.stdin.take().unwrap();
        let output = BufReader::new(program.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in output.split(0) {
                let Ok(message) = message else { return };
                let Ok(json) = serde_json::from_slice(&message) else {
                    return;
                };
                if sender.send(json).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            _program: program,
            commands,
            messages,
            next_id: 0,
            session: None,
        };
        let target = browser.call("Target.createTarget", json!({ "url": url }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        browser
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next_id += 1;
        let mut command = json!({ "id": self.next_id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        let mut message = command.to_string().into_bytes();
        message.push(0);
        self.commands.write_all(&message).unwrap();
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self
                .messages
                .recv_timeout(left)
                .unwrap_or_else(|error| panic!("{method}: {error}"));
            if message["id"] == self.next_id {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true });
        let result = self.call("Runtime.evaluate", parameters);
        assert!(
            result.get("exceptionDetails").is_none(),
            "{expression}: {result}"
        );
        result["result"]["value"].clone()
    }

    fn resize(&mut self, width: u32) {
        let parameters =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", parameters);
    }

    /// Waits until the text of the element contains `expected`.
    fn expect_text(&mut self, id: &str, expected: &str) {
        let expression = format!("document.getElementById('{id}')?.innerText ?? ''");
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let text = self.evaluate(&expression);
            if text.as_str().unwrap_or_default().contains(expected) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{id} does not contain {expected:?}: {text}; message: {}",
                self.evaluate("document.getElementById('message').innerText")
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sets fields of a form and submits it.
    fn submit(&mut self, form: &str, fields: Value) {
        let expression = format!(
            "{{ const form = document.getElementById('{form}');
                for (const [name, value] of Object.entries({fields})) {{
                    form.elements[name].value = value;
                    if (form.elements[name].value !== value) throw new Error(name);
                }}
                form.requestSubmit(); }}"
        );
        self.evaluate(&expression);
    }
}

#[test]
fn page_shows_state_and_submits_forms() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_present = |name: &str| {
        let mut directories = std::env::split_paths(&path);
        directories.any(|directory| directory.join(name).is_file())
    };
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let name = names.into_iter().find(|name| is_present(name));
    let Some(program) = name.and_then(find) else {
        return missing("chromium");
    };
    let sandbox = Sandbox::builder().seed(1).frozen_clock(true).start();
    // Text of a user must not become part of the page.
    let script = "<img src=x onerror=\"document.title='attacked'\">";
    sandbox.create_cluster(json!({ "name": script }));
    let mut browser = Browser::open(&program, &format!("{}/", sandbox.base_url()));
    browser.expect_text("clusters", script);
    browser.expect_text("clusters", "Healthy");
    browser.expect_text("credentials", &sandbox.client_id());
    browser.expect_text("requests", "No requests.");

    browser.submit(
        "cluster",
        json!({ "name": "orders", "healthy_at_poll": "3" }),
    );
    browser.expect_text("clusters", "orders");
    browser.expect_text("clusters", "Creating");

    let fault = json!({
        "operation": "GET /clusters", "status": "418", "times": "2", "more": "{\"skip\": 1}",
    });
    browser.submit("fault", fault);
    browser.expect_text("faults", "0, 2 left");
    for width in [1200, 1000, 380] {
        browser.resize(width);
        let names = browser.evaluate(
            "[...document.querySelectorAll('select, input, textarea, button')]
                .filter((each) => {
                    const section = each.closest('section').getBoundingClientRect();
                    const lines = each.tagName === 'BUTTON' && each.offsetHeight > 40;
                    const scrolls = each.closest('.scroll');
                    const right = each.getBoundingClientRect().right;
                    return lines || (!scrolls && right > section.right);
                })
                .map((each) => each.name || each.id || each.innerText)",
        );
        assert_eq!(names, json!([]), "at {width} pixels");
    }
    let faults = sandbox.unused_faults();
    assert_eq!(faults[0]["status"], 418);
    assert_eq!(faults[0]["skip"], 1);

    let wrong = json!({ "operation": "", "more": "{\"probability\": 2}" });
    browser.submit("fault", wrong);
    browser.expect_text("message", "probability");

    let now = sandbox.state()["clock"]["now"].clone();
    browser.submit("advance", json!({ "seconds": "86400" }));
    browser.expect_text("message", "now");
    assert_ne!(sandbox.state()["clock"]["now"], now);
    browser.submit(
        "control",
        json!({ "changes": "{\"settings\": {\"ban_ms\": 1}}" }),
    );
    browser.expect_text("settings", "\"ban_ms\": 1,");

    browser.submit("reset", json!({ "keep": "false" }));
    browser.expect_text("clusters", "No clusters.");
    browser.expect_text("faults", "No faults.");
    assert_eq!(browser.evaluate("document.title"), "camunda-admin-sandbox");
}
