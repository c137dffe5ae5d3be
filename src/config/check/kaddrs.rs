//! Symbols whose addresses the object wants: for each a variable `kaddr_<symbol>`.

use super::{Context, Sink};
use crate::config::raw::{Found, RawConfig};
use crate::config::suggest;
use crate::problem::{Place, Problem};

const PREFIX: &str = "kaddr_";

/// The symbols, each once.
pub(crate) fn kaddrs(context: &Context<'_>, sink: &mut Sink<'_>, raw: &RawConfig) -> Vec<String> {
    let mut symbols = Vec::new();
    for symbol in &raw.kaddrs {
        if !sink.is_full() && fits(context, sink, symbol) && !symbols.contains(&symbol.value) {
            symbols.push(symbol.value.clone());
        }
    }
    symbols
}

fn fits(context: &Context<'_>, sink: &mut Sink<'_>, symbol: &Found<String>) -> bool {
    let name = format!("{PREFIX}{}", symbol.value);
    let variables = &context.object.variables;
    let Some(variable) = variables.iter().find(|variable| variable.name == name) else {
        let names = variables.iter().filter_map(|variable| variable.name.strip_prefix(PREFIX));
        let mut problem = Problem::error(
            "missing-variable",
            Place::default(),
            format!("the object has no variable `{name}`"),
        )
        .expected(format!("`const volatile u64 {name} = 0;` in the object's source"));
        problem.help = suggest::help("symbols the object asks for", &symbol.value, names);
        sink.report(&symbol.spot, problem);
        return false;
    };
    if variable.size != 8 {
        sink.report(
            &symbol.spot,
            Problem::error("variable-size", Place::default(), format!("`{name}` cannot hold an address"))
                .expected("a variable of 8 bytes")
                .found(format!("{} bytes", variable.size)),
        );
        return false;
    }
    true
}
