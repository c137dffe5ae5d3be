//! Whether a program does with pointers what the verifier lets only those do who have `CAP_PERFMON`.
//!
//! Without it the verifier guards against speculation and keeps addresses secret: nothing that varies is added to a
//! pointer but to one into a map's value, no pointer is taken from another one, and none is compared with anything but
//! the bounds of the same packet (`sanitize_ptr_alu`, `allow_ptr_leaks` in `kernel/bpf/verifier.c`). Programs that trace have the
//! capability anyway; parsers of packets need it for a header whose length varies.
//!
//! Which registers and spilled words can be which pointers is followed through all branches and calls. What the verifier
//! finds beyond that (padding of a key that was never set) it alone finds.

use std::collections::HashMap;

use super::file::{File, Symbol};

/// Which pointers a word can be: bits, none for a number.
type Kinds = u8;

const CONTEXT: Kinds = 1;
/// Into a packet, or its end.
const PACKET: Kinds = 2;
const VALUE: Kinds = 4;
const OTHER: Kinds = 8;

/// Longer programs are not looked through.
const MOST: usize = 1 << 17;

/// A section and an instruction in it.
type Place = (usize, usize);

/// What the registers and the stack can hold before an instruction.
#[derive(Clone, PartialEq, Eq)]
struct State {
    registers: [Kinds; 11],
    stack: [Kinds; 64],
}

const FRAME: usize = 10;

impl State {
    /// At the beginning of a function, by its arguments.
    fn begin(arguments: [Kinds; 5]) -> Self {
        let mut registers = [0; 11];
        registers[1..6].copy_from_slice(&arguments);
        registers[FRAME] = OTHER;
        Self { registers, stack: [0; 64] }
    }

    fn register(&self, register: u8) -> Kinds {
        self.registers.get(usize::from(register)).copied().unwrap_or(0)
    }

    fn set(&mut self, register: u8, kinds: Kinds) {
        if let Some(known) = self.registers.get_mut(usize::from(register)) {
            *known = kinds;
        }
    }

    /// The spilled word at an offset from the frame.
    fn slot(&mut self, offset: i16) -> Option<&mut Kinds> {
        let depth = usize::try_from(-i32::from(offset)).ok()?;
        self.stack.get_mut(depth.checked_sub(1)? / 8)
    }

    /// After a call.
    fn called(&mut self, result: Kinds) {
        self.registers[0] = result;
        self.registers[1..6].fill(0);
    }

    /// Adds what another way to the same place brings; whether that is anything new.
    fn join(&mut self, other: &Self) -> bool {
        let before = self.clone();
        let own = self.registers.iter_mut().chain(&mut self.stack);
        own.zip(other.registers.iter().chain(&other.stack)).for_each(|(own, other)| *own |= other);
        *self != before
    }
}

/// An instruction, taken apart.
#[derive(Clone, Copy)]
struct Instruction {
    code: u8,
    to: u8,
    from: u8,
    offset: i16,
    immediate: i32,
}

impl Instruction {
    fn read(slot: &[u8]) -> Option<Self> {
        let [code, registers, low, high, immediate @ ..] = <[u8; 8]>::try_from(slot).ok()?;
        let (first, second) = (registers & 0xf, registers >> 4);
        let (to, from) = if cfg!(target_endian = "big") { (second, first) } else { (first, second) };
        let (offset, immediate) = (i16::from_ne_bytes([low, high]), i32::from_ne_bytes(immediate));
        Some(Self { code, to, from, offset, immediate })
    }

    fn class(self) -> u8 {
        self.code & 7
    }

    /// Whether the second operand is a register.
    fn takes_register(self) -> bool {
        self.code & 8 != 0
    }

    fn is_double_word(self) -> bool {
        self.code & 0x18 == 0x18
    }
}

const LOAD: u8 = 0;
const LOAD_FROM: u8 = 1;
const STORE: u8 = 2;
const STORE_FROM: u8 = 3;
const JUMP: u8 = 5;
const JUMP_32: u8 = 6;
const ARITHMETIC: u8 = 7;
const LOAD_ADDRESS: u8 = 0x18;
const ADD: u8 = 0x00;
const SUBTRACT: u8 = 0x10;
const MOVE: u8 = 0xb0;
const CALL: u8 = 0x80;
const EXIT: u8 = 0x90;
/// Modes of loads and stores.
const MEMORY: u8 = 0x60;
const ATOMIC: u8 = 0xc0;
const PSEUDO_CALL: u8 = 1;
/// Follows one program.
struct Walk<'f, 'a> {
    file: &'f File<'a>,
    /// Symbols of relocations by section and instruction.
    relocations: HashMap<usize, HashMap<usize, usize>>,
    /// What the context's members are, by offset.
    context: &'static [(i16, Kinds)],
    /// Whether values of maps can have locks, which no variable offset may come near.
    has_locks: bool,
    /// With the function that each instruction is of.
    states: HashMap<Place, (State, Place)>,
    waiting: Vec<Place>,
    /// What functions return, and where they are called.
    results: HashMap<Place, (Kinds, Vec<Place>)>,
    found: bool,
}

/// Whether a program does with pointers what takes the capability.
pub(super) fn take_perfmon(
    file: &File<'_>,
    program: &Symbol<'_>,
    program_type: &str,
    has_locks: bool,
) -> bool {
    let Ok(start) = usize::try_from(program.value / 8) else { return false };
    let mut walk = Walk {
        file,
        relocations: HashMap::new(),
        context: context(program_type),
        has_locks,
        states: HashMap::new(),
        waiting: Vec::new(),
        results: HashMap::new(),
        found: false,
    };
    let entry = (program.section, start);
    walk.reach(entry, &State::begin([CONTEXT, 0, 0, 0, 0]), entry);
    let mut steps = 0;
    while let Some(place) = walk.waiting.pop().filter(|_| !walk.found) {
        steps += 1;
        walk.step(place);
        // Rather one capability too many than one that is missing.
        walk.found |= walk.states.len() > MOST || steps > 16 * MOST;
    }
    walk.found
}

/// Members of the context that are pointers.
fn context(program_type: &str) -> &'static [(i16, Kinds)] {
    match program_type {
        "xdp" => &[(0, PACKET), (4, PACKET), (8, PACKET)],
        "sk_msg" => &[(0, PACKET), (8, PACKET)],
        "cgroup_sockopt" => &[(0, OTHER), (8, PACKET), (16, PACKET)],
        "sched_cls" | "sched_act" | "cgroup_skb" | "socket_filter" | "sk_skb" | "lwt_in" | "lwt_out"
        | "lwt_xmit" | "lwt_seg6local" | "flow_dissector" => {
            &[(76, PACKET), (80, PACKET), (140, PACKET), (144, OTHER), (168, OTHER)]
        }
        _ => &[],
    }
}

/// What a helper returns.
fn result(helper: i32) -> Kinds {
    match helper {
        // What is found in maps and in storage.
        1 | 81 | 107 | 145 | 156 | 195 | 210 => VALUE,
        // Sockets, records, variables of a CPU, objects.
        84 | 85 | 95 | 96 | 98 | 99 | 131 | 136..=140 | 153 | 154 | 194 | 203 => OTHER,
        _ => 0,
    }
}

impl<'f, 'a> Walk<'f, 'a> {
    fn instruction(&self, (section, number): Place) -> Option<Instruction> {
        let code = self.file.sections.get(section)?.data;
        Instruction::read(code.get(number.checked_mul(8)?..)?.get(..8)?)
    }

    /// An instruction can come after a state.
    fn reach(&mut self, place: Place, state: &State, function: Place) {
        let is_new = match self.states.get_mut(&place) {
            Some((known, _)) => known.join(state),
            None => self.states.insert(place, (state.clone(), function)).is_none(),
        };
        if is_new {
            self.waiting.push(place);
        }
    }

    fn step(&mut self, place: Place) {
        let Some(instruction) = self.instruction(place) else { return };
        let Some((mut state, function)) = self.states.get(&place).cloned() else { return };
        let after = |slots: i32| Some((place.0, (place.1 + 1).checked_add_signed(slots.try_into().ok()?)?));
        let mut next = after(0);
        match instruction.class() {
            ARITHMETIC => self.calculate(instruction, &mut state),
            LOAD if instruction.code == LOAD_ADDRESS => {
                let kinds = self.address(place, instruction.immediate);
                state.set(instruction.to, kinds);
                next = after(1);
            }
            // Old ways to load from a packet.
            LOAD => state.called(0),
            LOAD_FROM => {
                let kinds = self.load(instruction, &mut state);
                state.set(instruction.to, kinds);
            }
            STORE | STORE_FROM => self.store(instruction, &mut state),
            JUMP | JUMP_32 => match instruction.code & 0xf0 {
                EXIT => return self.exit(state.registers[0], function),
                CALL => return self.call(instruction, state, place, function),
                0 if instruction.class() == JUMP => next = after(instruction.offset.into()),
                0 => next = after(instruction.immediate),
                _ => {
                    if instruction.takes_register() {
                        let (one, other) = (state.register(instruction.to), state.register(instruction.from));
                        self.found |= one != 0 && other != 0 && (one | other) != PACKET;
                    }
                    if let Some(target) = after(instruction.offset.into()) {
                        self.reach(target, &state, function);
                    }
                }
            },
            // Half of a pointer is none, and none that anybody may see.
            _ => {
                let from = if instruction.takes_register() { state.register(instruction.from) } else { 0 };
                let to = if instruction.code & 0xf0 == MOVE { 0 } else { state.register(instruction.to) };
                self.found |= from != 0 || to != 0;
                state.set(instruction.to, 0);
            }
        }
        if let Some(next) = next {
            self.reach(next, &state, function);
        }
    }

    fn calculate(&mut self, instruction: Instruction, state: &mut State) {
        let (to, register) = (state.register(instruction.to), instruction.takes_register());
        let from = if register { state.register(instruction.from) } else { 0 };
        let kinds = match instruction.code & 0xf0 {
            MOVE if instruction.offset == 0 => from,
            ADD | SUBTRACT if register => {
                let pointer = to | from;
                let is_bounded = pointer == VALUE && !self.has_locks;
                self.found |= (to != 0 && from != 0) || (pointer != 0 && !is_bounded);
                pointer
            }
            ADD | SUBTRACT => to,
            _ => 0,
        };
        state.set(instruction.to, kinds);
    }

    /// What the relocation of an instruction names.
    fn symbol(&mut self, (section, number): Place) -> Option<&'f Symbol<'a>> {
        let file = self.file;
        let relocations = self.relocations.entry(section).or_insert_with(|| {
            let found = file.relocations(section).into_iter();
            found.filter_map(|found| Some((usize::try_from(found.offset / 8).ok()?, found.symbol))).collect()
        });
        file.symbols.get(*relocations.get(&number)?)
    }

    /// What the address of something of the object is. A function is one that a helper calls back, with numbers and
    /// pointers to whatever.
    fn address(&mut self, place: Place, immediate: i32) -> Kinds {
        let Some(symbol) = self.symbol(place) else { return 0 };
        let (section, value) = (symbol.section, symbol.value);
        match self.file.sections.get(section) {
            Some(named) if named.name == ".maps" => OTHER,
            Some(named) if named.executable => {
                let start = value.checked_add_signed(immediate.into()).map(|start| start / 8);
                if let Some(start) = start.and_then(|start| usize::try_from(start).ok()) {
                    let function = (section, start);
                    self.reach(function, &State::begin([0, OTHER, OTHER, OTHER, 0]), function);
                }
                OTHER
            }
            _ => VALUE,
        }
    }

    fn load(&self, instruction: Instruction, state: &mut State) -> Kinds {
        if usize::from(instruction.from) == FRAME {
            let slot = state.slot(instruction.offset).filter(|_| instruction.is_double_word());
            return slot.map_or(0, |kinds| *kinds);
        }
        if state.register(instruction.from) & CONTEXT == 0 {
            return 0;
        }
        let member = self.context.iter().find(|(offset, _)| *offset == instruction.offset);
        member.map_or(0, |(_, kinds)| *kinds)
    }

    fn store(&mut self, instruction: Instruction, state: &mut State) {
        let mode = instruction.code & 0xe0;
        let is_register = instruction.class() == STORE_FROM;
        if is_register && mode == ATOMIC {
            // What was there before comes into the register, of an exchange upon comparison into the first.
            if instruction.immediate & 0xf0 == 0xf0 {
                state.set(0, 0);
            } else if instruction.immediate & 1 == 1 {
                state.set(instruction.from, 0);
            }
            return;
        }
        let stored = if is_register && mode == MEMORY { state.register(instruction.from) } else { 0 };
        if usize::from(instruction.to) == FRAME {
            if let Some(slot) = state.slot(instruction.offset) {
                *slot = if instruction.is_double_word() { stored } else { 0 };
            }
            return;
        }
        // Whoever reads the map would see an address.
        self.found |= stored != 0 && state.register(instruction.to) & (VALUE | PACKET) != 0;
    }

    fn call(&mut self, instruction: Instruction, mut state: State, place: Place, function: Place) {
        let after = (place.0, place.1 + 1);
        let returned = match instruction.from {
            0 => result(instruction.immediate),
            PSEUDO_CALL => {
                let slots = isize::try_from(instruction.immediate).unwrap_or(0);
                let start = match self.symbol(place) {
                    Some(symbol) => usize::try_from(symbol.value / 8)
                        .ok()
                        .and_then(|start| start.checked_add(1)?.checked_add_signed(slots))
                        .map(|start| (symbol.section, start)),
                    None => after.1.checked_add_signed(slots).map(|start| (place.0, start)),
                };
                let Some(callee) = start else { return };
                let arguments = std::array::from_fn(|nth| state.registers[nth + 1]);
                self.reach(callee, &State::begin(arguments), callee);
                let (kinds, calls) = self.results.entry(callee).or_default();
                if !calls.contains(&place) {
                    calls.push(place);
                }
                *kinds
            }
            _ => 0,
        };
        state.called(returned);
        self.reach(after, &state, function);
    }

    fn exit(&mut self, returned: Kinds, function: Place) {
        let (kinds, calls) = self.results.entry(function).or_default();
        if *kinds | returned != *kinds {
            *kinds |= returned;
            self.waiting.extend_from_slice(calls);
        }
    }
}
