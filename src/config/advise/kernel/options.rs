//! Options that the kernel has to be built with for the programs' hooks.

use super::{Kernel, Subject};
use crate::elf::{ProgramInfo, SectionKind};
use crate::problem::Problem;
use crate::spec::Attach;

/// What the kernel was built without, and the programs that have all that they need.
pub(super) fn advise<'p>(
    subject: &Subject<'_>,
    kernel: &Kernel,
    programs: &[&'p ProgramInfo],
) -> (Vec<Problem>, Vec<&'p ProgramInfo>) {
    let (mut problems, mut whole) = (Vec::new(), Vec::new());
    for program in programs {
        match missing(subject, kernel, program) {
            Some(problem) => problems.push(problem),
            None => whole.push(*program),
        }
    }
    (problems, whole)
}

fn missing(subject: &Subject<'_>, kernel: &Kernel, program: &ProgramInfo) -> Option<Problem> {
    let built = kernel.built.as_ref()?;
    let section = SectionKind::of(&program.section)?;
    let target =
        subject.attach(program).and_then(Attach::target).or_else(|| section.target(&program.section));
    let option = built.build.lacks(section.kernel_options(target))?;
    let message = format!("`{}` needs {option}, which {} is built without", program.name, built.name);
    let place = subject.program_place(&program.name);
    let problem = if built.given {
        Problem::error("kernel-option", place, message)
    } else {
        Problem::warning("kernel-option", place, message)
    };
    let problem = problem
        .expected(format!("{option}=y for SEC(\"{}\")", program.section))
        .found(format!("{} does not set it", built.build.path.display()));
    Some(problem.help(instead(section.prefix())))
}

fn instead(prefix: &str) -> &'static str {
    match prefix {
        "kprobe.multi" | "kretprobe.multi" | "kprobe.session" => {
            "SEC(\"kprobe\") takes patterns of `attach`, too; or mark the program `optional: true`"
        }
        _ if prefix.contains("probe") || prefix.starts_with('f') || prefix.contains("syscall") => {
            "use a tracepoint or another hook that the kernel has, or mark the program `optional: true`"
        }
        _ => "use another hook that the kernel has, or mark the program `optional: true`",
    }
}
