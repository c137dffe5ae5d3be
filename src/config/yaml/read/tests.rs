use super::*;

/// Writes a tree as one line: plain scalars bare, others in quotes, each with its position.
fn show(text: &str, node: &Node, out: &mut String) {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.plain => out.push_str(&scalar.text),
        Kind::Scalar(scalar) => out.push_str(&format!("{:?}", scalar.text)),
        Kind::Sequence(items) => {
            out.push('[');
            for item in items {
                show(text, item, out);
                out.push(' ');
            }
            out.push(']');
        }
        Kind::Mapping(entries) => {
            out.push('{');
            for entry in entries {
                show(text, &entry.key, out);
                out.push('=');
                show(text, &entry.value, out);
                out.push(' ');
            }
            out.push('}');
        }
    }
    let position = match &node.kind {
        Kind::Scalar(scalar) => scalar.position,
        Kind::Sequence(_) | Kind::Mapping(_) => locate(text, node.id),
    };
    let position = position.unwrap();
    out.push_str(&format!("@{}:{}", position.line, position.column));
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let document = read(text).unwrap_or_else(|refused| panic!("{text:?}: {refused:?}"));
    let mut shown = String::new();
    if let Some(root) = &document.root {
        show(text, root, &mut shown);
    }
    assert_eq!(shown, expected, "for {text:?}");
}

#[test]
fn scalars_keep_their_text() {
    check(
        "- 010\n- 0x10\n- 1_000\n- yes\n- 1.50\n- ~\n-\n",
        "[010@1:3 0x10@2:3 1_000@3:3 yes@4:3 1.50@5:3 ~@6:3 @7:2 ]@1:1",
    );
    check("[1e3, null, TRUE, +1, .5]", "[1e3@1:2 null@1:7 TRUE@1:13 +1@1:19 .5@1:23 ]@1:1");
    check("99999999999999999999999999999999999999999999", "99999999999999999999999999999999999999999999@1:1");
}

#[test]
fn quoted_scalars_are_text() {
    check(
        r#"["yes", 'no', "1", '', "", "a\tb", 'it''s']"#,
        r#"["yes"@1:2 "no"@1:9 "1"@1:15 ""@1:20 ""@1:24 "a\tb"@1:28 "it's"@1:36 ]@1:1"#,
    );
    check("a: |\n  yes\nb: >-\n  no\n", "{a@1:1=\"yes\\n\"@1:4 b@3:1=\"no\"@3:4 }@1:1");
    check(
        "- !!str yes\n- !mine yes\n- !!int \"3\"\n- plain ! text\n",
        "[\"yes\"@1:3 \"yes\"@2:3 3@3:3 plain ! text@4:3 ]@1:1",
    );
}

/// Far along a line tags are found from the scalar backwards, with the same result.
#[test]
fn quoted_scalars_are_text_on_long_lines() {
    #[track_caller]
    fn check(item: &str, plain: bool) {
        for before in ["", &"a, ".repeat(1000), &"ä, ".repeat(1000)] {
            let document = read(&format!("[{before}{item}]")).unwrap();
            let Some(Node { kind: Kind::Sequence(items), .. }) = document.root else { panic!("a list") };
            let mut last = items.last().unwrap();
            while let Kind::Mapping(entries) = &last.kind {
                last = &entries.last().unwrap().value;
            }
            let scalar = last.scalar().unwrap();
            assert_eq!((scalar.text.as_str(), scalar.plain), ("yes", plain), "{item}");
        }
    }
    check("yes", true);
    check("'yes'", false);
    check("!!str yes", false);
    check("!!str &a yes", false);
    check("&a !!str yes", false);
    check("&a yes", true);
    check("{b: yes}", true);
    check("{!!str b: yes}", true);
    check("{b: !!str yes}", false);
    check("{c: !!str b, b: yes}", true);
    check("{c: b,!!str b: yes}", true);
}

/// When each was counted from the beginning of the line, these would take minutes.
#[test]
fn many_scalars_on_one_line_are_read() {
    let document = read(&format!("[{}]", "yes, ".repeat(200_000))).unwrap();
    let Some(Node { kind: Kind::Sequence(items), .. }) = document.root else { panic!("a list") };
    assert!(items.len() == 200_000 && items.iter().all(|item| item.scalar().unwrap().plain));
}

/// The parser alone would take hours for these.
#[test]
fn brackets_without_end_are_refused() {
    #[track_caller]
    fn check(text: &str, line: usize, column: usize) {
        let position = Some(Position { line, column });
        let message = "recursion limit exceeded".to_owned();
        assert_eq!(read(text).unwrap_err(), Refused::Syntax { message, position });
    }
    check(&"[".repeat(4 << 20), 1, MAX_OPEN + 1);
    check(&"a: {\n".repeat(1 << 20), MAX_OPEN + 1, 4);
    assert!(read(&format!("# {}\na: \"{}\"", "[".repeat(MAX_OPEN / 2), "{".repeat(MAX_OPEN / 2))).is_ok());
    assert!(read(&format!("- {}", "[], {}, ".repeat(MAX_OPEN))).is_err());
}

#[test]
fn containers_know_where_they_begin() {
    check(
        "a:\n  b: {c: [1, 2], d: {}}\n  e:\n    - f\n",
        "{a@1:1={b@2:3={c@2:7=[1@2:11 2@2:14 ]@2:10 d@2:18={}@2:21 }@2:6 e@3:3=[f@4:7 ]@4:5 }@2:3 }@1:1",
    );
    check("a: []\n", "{a@1:1=[]@1:4 }@1:1");
}

#[test]
fn aliases_stand_where_their_anchor_does() {
    check("a: &x 010\nb: *x\n", "{a@1:1=010@1:4 b@2:1=010@1:4 }@1:1");
    check("a: &x {y: yes}\nb: *x\n", "{a@1:1={y@1:8=yes@1:11 }@1:4 b@2:1={y@1:8=yes@1:11 }@1:4 }@1:1");
    check("a: &x k\n*x : v\n", "{a@1:1=k@1:4 k@1:4=v@2:6 }@1:1");
}

#[test]
fn merges_and_duplicates_are_kept() {
    check("a: 1\na: 2\n<<: {b: 3}\n", "{a@1:1=1@1:4 a@2:1=2@2:4 <<@3:1={b@3:6=3@3:9 }@3:5 }@1:1");
}

#[test]
fn columns_count_characters() {
    check("é: ü\n'ö': [ß, x]\n", "{é@1:1=ü@1:4 \"ö\"@2:1=[ß@2:7 x@2:10 ]@2:6 }@1:1");
    check("a: 1\r\nb: 2\r\n", "{a@1:1=1@1:4 b@2:1=2@2:4 }@1:1");
}

#[test]
fn what_holds_nothing_has_no_root() {
    for text in ["", "\n", "# only a comment\n"] {
        assert!(read(text).unwrap().root.is_none(), "{text:?}");
    }
    // An empty document holds a null.
    for text in ["---\n", "~", "--- # nothing\n...\n"] {
        assert!(read(text).unwrap().root.is_none_or(|root| root.is_null()), "{text:?}");
    }
}

#[test]
fn only_the_first_document_is_read() {
    let document = read("a: 1\n---\n[broken\n").unwrap();
    assert!(document.more);
    assert!(document.root.is_some());
    assert!(!read("a: 1\n...\n").unwrap().more);
}

#[track_caller]
fn check_refused(text: &str, line: usize, column: usize) {
    match read(text) {
        Err(Refused::Syntax { message, position }) => {
            assert_eq!(position, Some(Position { line, column }), "for {text:?}: {message}");
            assert!(!message.contains("at line") || message.contains("while"), "{message}");
        }
        other => panic!("{text:?}: {other:?}"),
    }
}

#[test]
fn syntax_errors_have_a_position() {
    check_refused("a: b: c\n", 1, 5);
    check_refused("a:\n\t- b\n", 2, 1);
    check_refused("a: [1, 2\n", 1, 4);
    check_refused("a: 1\nb: {c: [1, 2],\n  d: 3\n", 2, 4);
    check_refused("[1, 2", 1, 1);
    check_refused("a: {b: c[1]}\n", 1, 9);
    check_refused("a: \"open\n", 1, 4);
    check_refused("a: 1\nb: 'open\nc: 2\n", 2, 4);
    check_refused("a: 1\nb:2\nc: 3\n", 2, 1);
    check_refused("a: *nowhere\n", 1, 4);
    check_refused("@", 1, 1);
    check_refused("a: 1\n b: 2\n", 2, 3);
    check_refused("a: `b`\n", 1, 4);
    check_refused("- !!int four\n", 1, 3);
    check_refused("a: 1\nb: \u{1}\n", 2, 4);
}

#[test]
fn bombs_are_refused() {
    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (name, last) in ('b'..='j').zip('a'..) {
        bomb.push_str(&format!("{name}: &{name} [{}]\n", vec![format!("*{last}"); 10].join(",")));
    }
    assert_eq!(read(&bomb).unwrap_err(), Refused::TooLarge);

    let wide = format!("a: &a [{}]\nb: [{}]\n", vec!["x"; 2000].join(","), vec!["*a"; 2000].join(","));
    assert_eq!(read(&wide).unwrap_err(), Refused::TooLarge);

    assert!(matches!(read("a: &a [*a]\n").unwrap_err(), Refused::Syntax { .. } | Refused::TooLarge));
    assert!(matches!(read(&"[".repeat(10_000)).unwrap_err(), Refused::Syntax { .. }));
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "[-a<&*!\\[\\]{}:,'\"|>#%@~?0-9 \\n\\t\u{85}é.]{0,60}") {
        if let Ok(document) = read(&text)
            && let Some(root) = &document.root
        {
            show(&text, root, &mut String::new());
        }
    }
}
