"""gdb commands for programs with Coil, live and on core files; the library's debug information is needed.

    source tools/gdb/coil-gdb.py
    coil tasks         every task: what it waits for, the coroutine it is in
    coil waits         those that wait, with the one who holds the lock
    coil bt TASK       the C functions of a suspended task (its name or address); coil bt TASK full: with locals
    coil task TASK     stays there: bt, frame, up, info locals see the task; coil task: back to the thread

Deadlocks, queues, deadlines and more are told by the command, which needs no debug information: coil ps PID.
"""

import gdb
import gdb.unwinder

LOOPS_MAX = 256
FLAG_STARTED = 4
KINDS = {0: "yield", 1: "sleep", 2: "future", 3: "task", 4: "io", 5: "other"}
# What a suspended stack has at its saved word, and how much is on top of it: src/platform/switch_*.S.
SAVED = {
    "x86-64": (["r15", "r14", "r13", "r12", "rbx", "rbp", "rip"], "rsp", 56),
    "aarch64": (["x%d" % i for i in range(19, 31)], "sp", 160),
}


def container(link, type_name, member):
    """The struct around a link of a list."""
    kind = gdb.lookup_type(type_name)
    offset = next(f.bitpos // 8 for f in kind.fields() if f.name == member)
    return gdb.Value(int(link) - offset).cast(kind.pointer())


def loops():
    table = gdb.parse_and_eval("coil__inspect.loops")
    word = gdb.lookup_type("unsigned long").pointer()
    kind = gdb.lookup_type("struct coil_loop").pointer()
    for i in range(LOOPS_MAX):
        address = int(gdb.Value(int(table)).cast(word)[i])
        if address:
            yield gdb.Value(address).cast(kind)


def tasks():
    for loop in loops():
        head = loop["tasks"].address
        link = loop["tasks"]["next"]
        while link != head:
            yield container(link, "struct coil__task", "all")
            link = link.dereference()["next"]


def name_of(task):
    if int(task["name"]):
        return task["name"].string(errors="replace")
    return "Task-%d" % int(task["id"])


def innermost(task):
    coro = task["innermost"] if int(task["innermost"]) else task["coro"]
    if not int(coro):
        return ""
    kind = coro["type"]
    return "%s (%s:%d)" % (kind["name"].string(), kind["file"].string(), int(kind["line"]))


def wait_of(task):
    wait = task["waiting"]
    if not int(wait):
        return "" if int(task["flags"]) & FLAG_STARTED else "(new)"
    text = wait["operation"].string()
    if int(wait["fd"]) >= 0:
        text += " on descriptor %d" % int(wait["fd"])
    if int(wait["future"]):
        text += " of 0x%x" % int(wait["future"])
    return text


def holder_of(task):
    """Who has the lock that a task stands in line for; None: it waits for something else, or nobody is known."""
    wait = task["waiting"]
    if wait["operation"].string() != "lock_acquire":
        return None
    line = wait.cast(gdb.lookup_type("struct coil__parked").pointer())["list"]
    if not int(line):
        return None
    lock = line.cast(gdb.lookup_type("coil_lock").pointer())
    for other in tasks():
        if (int(other) == int(lock["coil__holder"])
                and int(other["serial"]) == int(lock["coil__holder_serial"])):
            return other
    return None


def find(text):
    for task in tasks():
        if text in (name_of(task), "0x%x" % int(task)):
            return task
    raise gdb.GdbError("there is no task '%s': see coil tasks" % text)


class FrameId:
    """What gdb.unwinder.FrameId is in newer versions."""

    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class TaskUnwinder(gdb.unwinder.Unwinder):
    """Where a task is selected, the innermost frame of the thread seems to have been called by it."""

    def __init__(self):
        super().__init__("coil task")
        self.task = None

    def __call__(self, frame):
        if self.task is None or frame.level() != 0:
            return None
        layout = SAVED["aarch64" if "aarch64" in frame.architecture().name() else "x86-64"]
        saved, stack_pointer, above = layout
        base = int(self.task["sp"])
        words = gdb.Value(base).cast(gdb.lookup_type("unsigned long").pointer())
        here = FrameId(gdb.Value(base), frame.read_register("pc"))
        info = frame.create_unwind_info(here)
        for i, register in enumerate(saved):
            kind = frame.read_register(register).type
            info.add_saved_register(register, words[i].cast(kind))
        if stack_pointer == "sp":
            info.add_saved_register("pc", words[len(saved) - 1].cast(frame.read_register("pc").type))
        kind = frame.read_register(stack_pointer).type
        info.add_saved_register(stack_pointer, gdb.Value(base + above).cast(kind))
        return info

    def select(self, task):
        if task is not None and (not int(task["sp"]) or not int(task["flags"]) & FLAG_STARTED):
            raise gdb.GdbError("%s has not begun: it has no stack" % name_of(task))
        if task is not None and not int(task["waiting"]):
            gdb.write("%s does not wait: if it runs, bt shows it\n" % name_of(task))
        self.task = task
        gdb.invalidate_cached_frames()


unwinder = TaskUnwinder()
gdb.unwinder.register_unwinder(None, unwinder, replace=True)


class Coil(gdb.Command):
    __doc__ = __doc__

    def __init__(self):
        super().__init__("coil", gdb.COMMAND_STACK, prefix=True)


class Tasks(gdb.Command):
    """Every task of every loop: address, name, what it waits for, the coroutine it is in."""

    def __init__(self):
        super().__init__("coil tasks", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        for task in tasks():
            gdb.write("0x%x  %-16s  %-32s  %s\n"
                      % (int(task), name_of(task), wait_of(task), innermost(task)))


class Waits(gdb.Command):
    """The tasks that wait, what for, and who holds the lock."""

    def __init__(self):
        super().__init__("coil waits", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        for task in tasks():
            if not int(task["waiting"]):
                continue
            holder = holder_of(task)
            held = ", held by " + name_of(holder) if holder is not None else ""
            gdb.write("%-16s  %s%s\n" % (name_of(task), wait_of(task), held))


class Backtrace(gdb.Command):
    """coil bt TASK [full]: the C functions in which a suspended task stands."""

    def __init__(self):
        super().__init__("coil bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        name, _, rest = argument.strip().partition(" full")
        if not name:
            raise gdb.GdbError("which task? See coil tasks")
        before = unwinder.task
        unwinder.select(find(name))
        try:
            text = gdb.execute("bt full" if argument.endswith(" full") else "bt", to_string=True)
        finally:
            unwinder.select(before)
        start = text.find("\n#1 ")
        gdb.write(text[start + 1:] if start >= 0 else text)


class Select(gdb.Command):
    """coil task TASK: gdb's own commands see a suspended task, above frame 0. coil task: the thread again."""

    def __init__(self):
        super().__init__("coil task", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        unwinder.select(find(argument.strip()) if argument.strip() else None)
        if argument.strip():
            gdb.execute("frame 1")


for command in (Coil, Tasks, Waits, Backtrace, Select):
    command()
