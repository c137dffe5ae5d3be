//! From the programs of one object to those of its successor, one after another.
//!
//! Where a hook can exchange the program behind a link, that is done: no event is missed and none
//! counts twice. Elsewhere the new program is attached before the old one is detached, so that none
//! is missed; what happens in the moment between is seen by both. When a program fails that the
//! successor cannot do without, every step is taken back, in the same order of work.

/// What holds one program at its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Attachment<Link, Place> {
    pub(super) program: String,
    /// Where it is attached, comparable between two objects.
    pub(super) place: Place,
    pub(super) link: Link,
}

/// A program of the successor that is to be attached, and one place for it. It may have several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned<Place> {
    pub(super) program: String,
    pub(super) place: Place,
}

/// What can be done with links. Programs are named; `old` ones are the predecessor's.
pub(super) trait Hooks {
    type Link;
    type Place: Clone + PartialEq;
    type Error;

    fn attach(&mut self, planned: &Planned<Self::Place>) -> Result<Self::Link, Self::Error>;
    fn attach_old(&mut self, planned: &Planned<Self::Place>) -> Result<Self::Link, Self::Error>;
    /// Whether the program behind a link can be exchanged.
    fn is_exact(&self, link: &Self::Link) -> bool;
    fn update(&mut self, link: &mut Self::Link, program: &str) -> Result<(), Self::Error>;
    fn update_to_old(&mut self, link: &mut Self::Link, program: &str) -> Result<(), Self::Error>;
    /// Whether an error says that the place has room for one program alone, which it has.
    fn is_taken(&self, error: &Self::Error) -> bool;
    /// Begins to detach and does not wait for the end.
    fn detach(&mut self, link: Self::Link);
    /// Detaches, and waits until the place is free.
    fn detach_now(&mut self, link: Self::Link);
    /// Waits until what was detached is gone.
    fn settle(&mut self);
}

/// What is attached now, and what failed without stopping the exchange.
#[derive(Debug)]
pub(super) struct Exchanged<Link, Place, Error> {
    pub(super) attachments: Vec<Attachment<Link, Place>>,
    pub(super) failures: Vec<(Planned<Place>, Error)>,
}

/// Why everything is as it was.
#[derive(Debug)]
pub(super) struct PutBack<Place, Error> {
    /// The programs that failed; the last one stopped the exchange.
    pub(super) failures: Vec<(Planned<Place>, Error)>,
    /// Programs of the predecessor that could not be attached again.
    pub(super) lost: Vec<(String, Error)>,
}

/// An attachment of some hooks.
type Held<H> = Attachment<<H as Hooks>::Link, <H as Hooks>::Place>;

/// How an exchange went.
type Outcome<H> = Result<
    Exchanged<<H as Hooks>::Link, <H as Hooks>::Place, <H as Hooks>::Error>,
    PutBack<<H as Hooks>::Place, <H as Hooks>::Error>,
>;

/// A step that was taken, with what takes it back.
enum Step<Link, Place> {
    /// A program without a predecessor was attached.
    Added(Attachment<Link, Place>),
    /// The link of this old attachment holds the new program now.
    Updated { now: Attachment<Link, Place>, before: Planned<Place> },
    /// The new program was attached, and this old one is being detached.
    Replaced { now: Attachment<Link, Place>, before: Planned<Place> },
}

impl<Link, Place> Step<Link, Place> {
    fn into_now(self) -> Attachment<Link, Place> {
        match self {
            Self::Added(now) | Self::Updated { now, .. } | Self::Replaced { now, .. } => now,
        }
    }
}

/// Attaches the successor's programs and detaches those of the predecessor.
///
/// `may_go_on` is asked of a program that failed, and whether it was at work there.
///
/// # Errors
/// When a program failed that the successor cannot do without, or none of it is attached where
/// something was: then `old` holds what it held.
pub(super) fn exchange<H: Hooks>(
    hooks: &mut H,
    planned: &[Planned<H::Place>],
    old: &mut Vec<Held<H>>,
    may_go_on: impl Fn(&str, bool) -> bool,
) -> Outcome<H> {
    let (mut steps, mut failures, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    let mut is_stopped = false;
    let something_was_there = !old.is_empty();
    // Asked beforehand: another program may take the link of the one of its name.
    let were: Vec<Planned<H::Place>> = old.iter().map(|old| before(&old.program, &old.place)).collect();
    for program in planned {
        let predecessor = predecessor(hooks, program, planned, old);
        match step(hooks, program, old, predecessor, &mut lost) {
            Ok(step) => steps.push(step),
            Err(error) => {
                is_stopped |= !may_go_on(&program.program, was_attached(program, planned, &were));
                failures.push((program.clone(), error));
                if is_stopped {
                    break;
                }
            }
        }
    }
    if is_stopped || (steps.is_empty() && something_was_there && !failures.is_empty()) {
        put_back(hooks, steps, old, &mut lost);
        return Err(PutBack { failures, lost });
    }
    for attachment in old.drain(..) {
        hooks.detach(attachment.link);
    }
    Ok(Exchanged { attachments: steps.into_iter().map(Step::into_now).collect(), failures })
}

fn before<Place: Clone>(program: &str, place: &Place) -> Planned<Place> {
    Planned { program: program.to_owned(), place: place.clone() }
}

/// Whether a program was at work: at this place, where it has several, else anywhere.
fn was_attached<Place: PartialEq>(
    program: &Planned<Place>,
    planned: &[Planned<Place>],
    were: &[Planned<Place>],
) -> bool {
    let is_same = |other: &&Planned<Place>| other.program == program.program;
    let is_only = planned.iter().filter(is_same).count() == 1;
    were.iter().filter(is_same).any(|was| is_only || was.place == program.place)
}

/// The old attachment that a program takes the place of: of its name at its place, else at its place
/// where only one can be, else of its name at a place that is given up.
fn predecessor<H: Hooks>(
    hooks: &H,
    program: &Planned<H::Place>,
    planned: &[Planned<H::Place>],
    old: &[Held<H>],
) -> Option<usize> {
    let is_there = |old: &Held<H>| old.place == program.place;
    let is_same = |old: &Held<H>| old.program == program.program;
    let is_given_up = |old: &Held<H>| {
        !planned.iter().any(|planned| planned.program == old.program && planned.place == old.place)
    };
    old.iter()
        .position(|old| is_there(old) && is_same(old))
        .or_else(|| old.iter().position(|old| is_there(old) && hooks.is_exact(&old.link)))
        .or_else(|| old.iter().position(|old| is_same(old) && is_given_up(old)))
}

/// Brings one program to its place.
fn step<H: Hooks>(
    hooks: &mut H,
    program: &Planned<H::Place>,
    old: &mut Vec<Held<H>>,
    before: Option<usize>,
    lost: &mut Vec<(String, H::Error)>,
) -> Result<Step<H::Link, H::Place>, H::Error> {
    let attachment =
        |link| Attachment { program: program.program.clone(), place: program.place.clone(), link };
    if let Some(index) = before
        && let Some(held) = old.get_mut(index)
        && held.place == program.place
        && hooks.is_exact(&held.link)
        && hooks.update(&mut held.link, &program.program).is_ok()
    {
        let held = old.swap_remove(index);
        let before = Planned { program: held.program, place: held.place };
        return Ok(Step::Updated { now: attachment(held.link), before });
    }
    match (hooks.attach(program), before) {
        (Ok(link), None) => Ok(Step::Added(attachment(link))),
        (Ok(link), Some(index)) => {
            let held = old.swap_remove(index);
            hooks.detach(held.link);
            let before = Planned { program: held.program, place: held.place };
            Ok(Step::Replaced { now: attachment(link), before })
        }
        // There is room for one alone, and its link cannot be handed over: here the order has to be the other one.
        (Err(error), Some(index)) if hooks.is_taken(&error) => {
            let held = old.swap_remove(index);
            let before = Planned { program: held.program, place: held.place };
            hooks.detach_now(held.link);
            match hooks.attach(program) {
                Ok(link) => Ok(Step::Replaced { now: attachment(link), before }),
                Err(error) => {
                    match hooks.attach_old(&before) {
                        Ok(link) => {
                            old.push(Attachment { program: before.program, place: before.place, link })
                        }
                        Err(error) => lost.push((before.program, error)),
                    }
                    Err(error)
                }
            }
        }
        (Err(error), _) => Err(error),
    }
}

/// Takes steps back, the last one first. `lost` is what of the predecessor could not be attached again.
fn put_back<H: Hooks>(
    hooks: &mut H,
    steps: Vec<Step<H::Link, H::Place>>,
    old: &mut Vec<Held<H>>,
    lost: &mut Vec<(String, H::Error)>,
) {
    for step in steps.into_iter().rev() {
        match step {
            Step::Added(now) => hooks.detach(now.link),
            Step::Updated { mut now, before } => match hooks.update_to_old(&mut now.link, &before.program) {
                Ok(()) => {
                    old.push(Attachment { program: before.program, place: before.place, link: now.link })
                }
                Err(error) => {
                    hooks.detach(now.link);
                    lost.push((before.program, error));
                }
            },
            Step::Replaced { now, before } => {
                let mut again = hooks.attach_old(&before);
                // Some places take no program twice, and its own link may not be gone yet.
                if again.as_ref().is_err_and(|error| hooks.is_taken(error)) {
                    hooks.settle();
                    again = hooks.attach_old(&before);
                }
                let (link, again) = match again {
                    Err(error) if hooks.is_taken(&error) => {
                        hooks.detach_now(now.link);
                        (None, hooks.attach_old(&before))
                    }
                    outcome => (Some(now.link), outcome),
                };
                if let Some(link) = link {
                    hooks.detach(link);
                }
                match again {
                    Ok(link) => old.push(Attachment { program: before.program, place: before.place, link }),
                    Err(error) => lost.push((before.program, error)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
