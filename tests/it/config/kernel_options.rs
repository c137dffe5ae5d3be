use bpftally::config::{Checked, ConfigFile, check_text};
use bpftally::spec::{KernelOption, OptionKind};

use super::{brief, options};
use crate::common::objects::Object;

const SOURCE: &str = r#"
extern u32 LINUX_KERNEL_VERSION __kconfig;
extern _Bool CONFIG_BOOL __kconfig;
extern enum libbpf_tristate CONFIG_TRI __kconfig __weak;
extern char CONFIG_CHAR __kconfig __weak;
extern s16 CONFIG_SHORT __kconfig __weak;
extern u64 CONFIG_LONG __kconfig __weak;
extern char CONFIG_TEXT[8] __kconfig __weak;
u64 own;
SEC("raw_tp/sys_enter") int tell(void *ctx)
{
    own = LINUX_KERNEL_VERSION + CONFIG_BOOL + CONFIG_TRI + CONFIG_CHAR + CONFIG_SHORT + CONFIG_LONG + CONFIG_TEXT[0];
    return 0;
}
"#;

fn checked(text: &str) -> Checked {
    let object = Object::of(SOURCE);
    let text = format!("{text}\nmetrics: {{counters: []}}\n");
    check_text(&ConfigFile::new("/configs/test.yaml"), &text, &object.file(), &options())
}

fn wanted(text: &str) -> Vec<KernelOption> {
    let checked = checked(text);
    assert_eq!(brief(&checked.problems), [""; 0], "{text}: {:#?}", checked.problems);
    checked.spec.unwrap().load.kernel_options
}

#[test]
fn what_an_object_asks_for_is_known_by_its_types() {
    let options = wanted("");
    let found: Vec<_> =
        options.iter().map(|option| (option.name.as_str(), option.kind, option.is_weak)).collect();
    assert_eq!(
        found,
        [
            ("CONFIG_BOOL", OptionKind::Boolean, false),
            ("CONFIG_TRI", OptionKind::Tristate, true),
            ("CONFIG_CHAR", OptionKind::Character, true),
            ("CONFIG_SHORT", OptionKind::Integer, true),
            ("CONFIG_LONG", OptionKind::Integer, true),
            ("CONFIG_TEXT", OptionKind::Text, true),
        ]
    );
    assert!(options.iter().all(|option| option.given.is_none()));
}

#[test]
fn values_are_what_their_types_say() {
    let check = |name: &str, yaml: &str, expected: &str| {
        let options = wanted(&format!("kconfig: {{{name}: {yaml}}}"));
        let option = options.iter().find(|option| option.name == name).unwrap();
        assert_eq!(option.given.as_deref(), Some(expected), "{name}: {yaml}");
    };
    for (yaml, expected) in [("y", "y"), ("n", "n"), ("'y'", "y"), ("true", "y"), ("no", "n")] {
        check("CONFIG_BOOL", yaml, expected);
        check("CONFIG_TRI", yaml, expected);
        check("CONFIG_CHAR", yaml, expected);
    }
    check("CONFIG_TRI", "m", "m");
    check("CONFIG_CHAR", "m", "m");
    check("CONFIG_CHAR", "65", "65");
    check("CONFIG_SHORT", "-32768", "-32768");
    check("CONFIG_SHORT", "0x10", "16");
    check("CONFIG_LONG", "18446744073709551615", "18446744073709551615");
    check("CONFIG_TEXT", "-abcdef", "\"-abcdef\"");
    check("CONFIG_TEXT", "250", "\"250\"");
    check("CONFIG_TEXT", "''", "\"\"");
}

#[test]
fn what_cannot_be_is_told_with_its_place() {
    let check = |yaml: &str, code: &str, help: &str| {
        let checked = checked(&format!("kconfig: {{{yaml}}}"));
        let [problem] = checked.problems.as_slice() else { panic!("{yaml}: {:#?}", checked.problems) };
        assert_eq!(problem.code, code, "{problem:#?}");
        assert!(
            problem.place.path.starts_with("kconfig.") && problem.place.position.is_some(),
            "{problem:#?}"
        );
        let told = [&problem.expected, &problem.help].into_iter().flatten().any(|text| text.contains(help));
        assert!(told, "{help}: {problem:#?}");
        assert!(checked.spec.is_none());
    };
    check("CONFIG_BOOL: m", "option-value", "y or n");
    check("CONFIG_BOOL: 1", "option-value", "y or n");
    check("CONFIG_TRI: 2", "option-value", "y, m or n");
    check("CONFIG_CHAR: x", "option-value", "y, m or n, or a whole number from");
    check("CONFIG_SHORT: 32768", "option-value", "-32768 to 32767");
    check("CONFIG_SHORT: y", "option-value", "a whole number");
    check("CONFIG_LONG: -1", "option-value", "0 to 18446744073709551615");
    check("CONFIG_TEXT: abcdefgh", "option-value", "at most 7 bytes");
    check("CONFIG_TEXT: 'a\"b'", "option-value", "quotes");
    check("CONFIG_TEXT: ~", "option-value", "a text");
    check("CONFIG_LONG: [1]", "option-value", "a whole number");
    check("CONFIG_LONG: {a: 1}", "option-value", "a whole number");
    check("CONFIG_LONGER: 1", "unknown-option", "CONFIG_LONG");
    check("LONG: 1", "unknown-option", "did you mean `CONFIG_LONG`?");
    check("LINUX_KERNEL_VERSION: 1", "unknown-option", "libbpf makes this one up");
    check("own: 1", "unknown-option", "`globals` sets it");
    // The other way round.
    let checked = checked("globals: {CONFIG_LONG: 1}");
    assert_eq!(checked.problems[0].code, "global-extern");
    assert!(checked.problems[0].help.as_ref().unwrap().contains("`kconfig`"));
}
