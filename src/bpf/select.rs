//! Which programs of an object are loaded: options of single programs, and alternatives.
//!
//! A program may be given up when the config is whole without it: it is optional, or has a next
//! alternative. Whatever cannot be given up is tried, even if it looks impossible: the kernel
//! has the last word, and its refusal is better than a guess.

use crate::snapshot::{ProgramVerdict, Verdict};
use crate::spec::LoadSpec;

/// A program as the opened object has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) name: String,
    /// Without a leading `?`.
    pub(super) section: String,
    /// Whether libbpf would load it of its own.
    pub(super) autoload: bool,
}

/// What is to be loaded, as far as it is known by now.
#[derive(Debug, Default)]
pub(super) struct Selection {
    programs: Vec<Selected>,
    choices: Vec<Vec<usize>>,
}

#[derive(Debug)]
struct Selected {
    candidate: Candidate,
    enabled: Option<bool>,
    optional: bool,
    choice: Option<usize>,
    /// Why it was given up.
    given_up: Option<String>,
}

impl Selection {
    /// What a config wants of an object's programs.
    pub(super) fn new(spec: &LoadSpec, candidates: Vec<Candidate>) -> Self {
        let position = |name: &String| candidates.iter().position(|candidate| candidate.name == *name);
        let choices: Vec<Vec<usize>> =
            spec.choices.iter().map(|names| names.iter().filter_map(position).collect()).collect();
        let choice_of = |index: usize| choices.iter().position(|choice: &Vec<usize>| choice.contains(&index));
        let select = |(index, candidate): (usize, &Candidate)| {
            let setting = spec.programs.iter().find(|setting| setting.name == candidate.name);
            Selected {
                candidate: candidate.clone(),
                enabled: setting.and_then(|setting| setting.enabled),
                optional: setting.is_some_and(|setting| setting.optional),
                choice: choice_of(index),
                given_up: None,
            }
        };
        Self { programs: candidates.iter().enumerate().map(select).collect(), choices }
    }

    /// Gives up what is known to be impossible, where that may be. `possible` says why something is not;
    /// it is asked only of what would be loaded.
    pub(super) fn foresee(&mut self, mut possible: impl FnMut(&Candidate) -> Result<(), String>) {
        for index in 0..self.programs.len() {
            let free = self.programs.get(index).is_some_and(|program| program.choice.is_none());
            if free {
                self.try_to_give_up(index, &mut possible);
            }
        }
        for choice in 0..self.choices.len() {
            while let Some(index) = self.chosen(choice) {
                if !self.try_to_give_up(index, &mut possible) {
                    break;
                }
            }
        }
    }

    /// Whether a program is to be loaded.
    pub(super) fn is_wanted(&self, name: &str) -> bool {
        self.position(name).is_some_and(|index| self.is_on(index))
    }

    /// The programs' names and sections.
    pub(super) fn sections(&self) -> impl Iterator<Item = (&str, &str)> {
        self.programs
            .iter()
            .map(|program| (program.candidate.name.as_str(), program.candidate.section.as_str()))
    }

    /// Whether a program of this name has this section.
    pub(super) fn has(&self, name: &str, section: &str) -> bool {
        self.sections().any(|found| found == (name, section))
    }

    /// Whether another program takes over when this one is given up.
    pub(super) fn has_next(&self, name: &str) -> bool {
        self.position(name).is_some_and(|index| self.next(index).is_some())
    }

    /// Whether the config is whole without a program.
    pub(super) fn is_optional(&self, name: &str) -> bool {
        self.position(name).and_then(|index| self.programs.get(index)).is_some_and(|program| program.optional)
    }

    /// Gives a program up, where that may be; false where it may not, or was done before.
    pub(super) fn give_up(&mut self, name: &str, reason: String) -> bool {
        let Some(index) = self.position(name).filter(|index| self.may_give_up(*index)) else { return false };
        if let Some(program) = self.programs.get_mut(index) {
            program.given_up = Some(reason);
        }
        true
    }

    /// The alternatives before a program that were given up, and why.
    pub(super) fn given_up_before(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let index = self.position(name);
        let choice = index.and_then(|index| self.programs.get(index)?.choice);
        let choice = choice.and_then(|choice| self.choices.get(choice)).map_or(&[][..], Vec::as_slice);
        let before = choice.iter().take_while(move |other| Some(**other) != index);
        before.filter_map(|other| {
            let program = self.programs.get(*other)?;
            Some((program.candidate.name.as_str(), program.given_up.as_deref()?))
        })
    }

    /// The verdict on a program that is not loaded.
    pub(super) fn verdict(&self, name: &str) -> ProgramVerdict {
        let disabled = |reason: String| ProgramVerdict::new(name, Verdict::Disabled, reason);
        let Some(program) = self.position(name).and_then(|index| self.programs.get(index)) else {
            return disabled("it is not loaded".to_owned());
        };
        if let Some(reason) = &program.given_up {
            return ProgramVerdict::new(name, Verdict::Unsupported, reason.clone());
        }
        if program.enabled == Some(false) {
            return disabled("`programs` switches it off".to_owned());
        }
        let other = program.choice.and_then(|choice| self.chosen(choice));
        match other.and_then(|index| self.programs.get(index)) {
            Some(other) => disabled(format!("`choose` prefers `{}`", other.candidate.name)),
            None => disabled("its section begins with `?`".to_owned()),
        }
    }

    fn try_to_give_up(
        &mut self,
        index: usize,
        possible: &mut impl FnMut(&Candidate) -> Result<(), String>,
    ) -> bool {
        if !self.may_give_up(index) {
            return false;
        }
        let Some(program) = self.programs.get_mut(index) else { return false };
        program.given_up = possible(&program.candidate).err();
        program.given_up.is_some()
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.programs.iter().position(|program| program.candidate.name == name)
    }

    fn is_available(&self, index: usize) -> bool {
        self.programs
            .get(index)
            .is_some_and(|program| program.given_up.is_none() && program.enabled != Some(false))
    }

    fn is_on(&self, index: usize) -> bool {
        let Some(program) = self.programs.get(index).filter(|_| self.is_available(index)) else {
            return false;
        };
        match program.choice {
            Some(choice) => self.chosen(choice) == Some(index),
            None => program.enabled.unwrap_or(program.candidate.autoload),
        }
    }

    /// The best alternative that is left.
    fn chosen(&self, choice: usize) -> Option<usize> {
        self.choices.get(choice)?.iter().copied().find(|index| self.is_available(*index))
    }

    fn next(&self, index: usize) -> Option<usize> {
        let choice = self.choices.get(self.programs.get(index)?.choice?)?;
        let behind = choice.iter().copied().skip_while(|other| *other != index).skip(1);
        behind.into_iter().find(|other| self.is_available(*other))
    }

    fn may_give_up(&self, index: usize) -> bool {
        let optional = self.programs.get(index).is_some_and(|program| program.optional);
        self.is_on(index) && (optional || self.next(index).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ProgramSetting;

    fn selection(object: &[&str], choices: &[&[&str]], settings: &[(&str, Option<bool>, bool)]) -> Selection {
        let candidates = object.iter().map(|name| Candidate {
            name: name.trim_start_matches('?').to_owned(),
            section: format!("kprobe/{}", name.trim_start_matches('?')),
            autoload: !name.starts_with('?'),
        });
        let names = |names: &&[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let spec = LoadSpec {
            choices: choices.iter().map(names).collect(),
            programs: settings
                .iter()
                .map(|(name, enabled, optional)| ProgramSetting {
                    name: (*name).to_owned(),
                    enabled: *enabled,
                    optional: *optional,
                    attach: None,
                })
                .collect(),
            ..LoadSpec::default()
        };
        Selection::new(&spec, candidates.collect())
    }

    /// What is on, after everything in `impossible` was foreseen to be.
    #[track_caller]
    fn check(mut selection: Selection, impossible: &[&str], expected: &[&str]) -> Selection {
        selection.foresee(|candidate| {
            if impossible.contains(&candidate.name.as_str()) { Err("no".to_owned()) } else { Ok(()) }
        });
        let names: Vec<String> =
            selection.programs.iter().map(|program| program.candidate.name.clone()).collect();
        let on: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| selection.is_wanted(name)).collect();
        assert_eq!(on, expected);
        selection
    }

    #[test]
    fn without_settings_the_object_decides() {
        check(selection(&["a", "?b"], &[], &[]), &["a"], &["a"]);
    }

    #[test]
    fn settings_switch_off_and_on() {
        let settings = [("a", Some(false), false), ("b", Some(true), false)];
        let selection = check(selection(&["a", "?b", "?c"], &[], &settings), &[], &["b"]);
        assert_eq!(selection.verdict("a").reason, "`programs` switches it off");
        assert_eq!(selection.verdict("c").reason, "its section begins with `?`");
        assert_eq!(selection.verdict("c").verdict, Verdict::Disabled);
    }

    #[test]
    fn optional_programs_are_given_up_and_others_tried() {
        let settings = [("a", None, true), ("b", None, true)];
        let selection = check(selection(&["a", "b", "c"], &[], &settings), &["b", "c"], &["a", "c"]);
        assert_eq!(selection.verdict("b"), ProgramVerdict::new("b", Verdict::Unsupported, "no"));
    }

    #[test]
    fn the_first_possible_alternative_is_chosen() {
        let new = || selection(&["a", "?b", "c", "d"], &[&["a", "b", "c"]], &[]);
        let first = check(new(), &[], &["a", "d"]);
        assert_eq!(first.verdict("b").reason, "`choose` prefers `a`");
        let second = check(new(), &["a"], &["b", "d"]);
        assert_eq!(second.verdict("a").verdict, Verdict::Unsupported);
        assert_eq!(second.verdict("c").reason, "`choose` prefers `b`");
        // The last one is tried whatever it looks like.
        check(new(), &["a", "b", "c"], &["c", "d"]);
    }

    #[test]
    fn switched_off_alternatives_do_not_count_and_an_optional_last_one_may_go() {
        let settings = [("a", Some(false), false), ("c", None, true)];
        let new = || selection(&["a", "b", "c"], &[&["a", "b", "c"]], &settings);
        check(new(), &[], &["b"]);
        check(new(), &["b", "c"], &[]);
    }

    #[test]
    fn what_fails_is_given_up_once_where_that_may_be() {
        let mut selection = selection(&["a", "b", "c"], &[&["a", "b"]], &[("c", None, true)]);
        assert!(selection.has_next("a") && !selection.has_next("b"));
        assert!(!selection.give_up("b", "not on".into()));
        assert!(selection.give_up("a", "first".into()));
        assert!(!selection.give_up("a", "again".into()));
        assert!(selection.is_wanted("b") && !selection.give_up("b", "the last one".into()));
        assert!(selection.give_up("c", "optional".into()));
        assert!(!selection.give_up("unknown", String::new()));
    }
}
