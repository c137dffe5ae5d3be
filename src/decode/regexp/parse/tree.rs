//! The parts of a syntax tree while it is put together.

use regex_syntax::hir::{Capture, Hir};

use super::Flags;

/// A finished part of the tree.
pub(super) struct Node {
    pub(super) hir: Hir,
    pub(super) height: u32,
    /// The product of the repetitions nested in it.
    pub(super) weight: u32,
}

impl Node {
    pub(super) fn leaf(hir: Hir) -> Self {
        Self { hir, height: 1, weight: 1 }
    }

    /// One node of several; of one, that one.
    pub(super) fn join(mut nodes: Vec<Self>, join: fn(Vec<Hir>) -> Hir) -> Self {
        if nodes.len() == 1
            && let Some(node) = nodes.pop()
        {
            return node;
        }
        let height = 1 + nodes.iter().map(|node| node.height).max().unwrap_or(0);
        let weight = nodes.iter().map(|node| node.weight).max().unwrap_or(1);
        Self { hir: join(nodes.into_iter().map(|node| node.hir).collect()), height, weight }
    }
}

/// An open group.
#[derive(Default)]
pub(super) struct Frame {
    pub(super) alternatives: Vec<Node>,
    pub(super) sequence: Vec<Node>,
    /// Its number, when it captures.
    pub(super) capture: Option<u32>,
    /// The flags to return to behind it.
    pub(super) outside: Flags,
}

impl Frame {
    pub(super) fn end_alternative(&mut self) {
        let sequence = std::mem::take(&mut self.sequence);
        self.alternatives.push(Node::join(sequence, Hir::concat));
    }

    pub(super) fn close(mut self) -> Node {
        self.end_alternative();
        let node = Node::join(self.alternatives, Hir::alternation);
        match self.capture {
            Some(index) => Node {
                hir: Hir::capture(Capture { index, name: None, sub: Box::new(node.hir) }),
                height: node.height + 1,
                weight: node.weight,
            },
            None => node,
        }
    }
}
