// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Hooks of user space. */
#include "hooks.bpf.h"

COUNTED("uprobe//bin/called:probed", uprobe, void, ALWAYS, 0)
COUNTED("uretprobe//bin/called:probed", uretprobe, void, ALWAYS, 0)
COUNTED("uprobe.s//bin/called:probed", uprobe_s, void, ALWAYS, 0)
COUNTED("uretprobe.s//bin/called:probed", uretprobe_s, void, ALWAYS, 0)
COUNTED("uprobe.multi//bin/called:probed", uprobe_multi, void, ALWAYS, 0)
COUNTED("uretprobe.multi//bin/called:probed", uretprobe_multi, void, ALWAYS, 0)
COUNTED("uprobe.multi.s//bin/called:probed", uprobe_multi_s, void, ALWAYS, 0)
COUNTED("uretprobe.multi.s//bin/called:probed", uretprobe_multi_s, void, ALWAYS, 0)
COUNTED("uprobe.session//bin/called:probed", uprobe_session, void, ALWAYS, 0)
COUNTED("uprobe.session.s//bin/called:probed", uprobe_session_s, void, ALWAYS, 0)
