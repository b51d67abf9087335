"""A hundred random schedules over every synchronisation primitive and queue, with cancellations.

Up to eight workers use a lock, a semaphore, a condition, a barrier, an event and a bounded queue as
the numbers of lcg.py have it, and cancel one another; main pokes at the same objects between their
turns. Every wake-up order and every turn shows in the log, of which a hash is printed. There are no
timers, so that the order is that of the ready queue alone.

Why: A difference of one turn, in any combination of two of them, changes everything after it.
"""
import asyncio
from lcg import Lcg, Digest
from tokens import say, kind
from vclock import run


class Item:
    def __init__(self, priority, number):
        self.priority, self.number = priority, number

    def __lt__(self, other):
        return self.priority < other.priority


class Schedule:
    def __init__(self, seed):
        self.rng, self.log = Lcg(seed), Digest()
        self.lock, self.event = asyncio.Lock(), asyncio.Event()
        self.slots = asyncio.Semaphore(1 + seed % 3)
        self.cond = asyncio.Condition(self.lock if seed % 2 else None)
        self.barrier = asyncio.Barrier(2 + seed % 2)
        self.queue = (asyncio.LifoQueue if seed // 2 % 2 else asyncio.Queue)(1 + seed % 4)
        self.least = asyncio.PriorityQueue()
        self.turn = self.level = 0
        self.tasks = [asyncio.create_task(worker(self, w)) for w in range(3 + seed % 6)]

    def below(self, n):
        return self.rng.below(n)


async def use_lock(s, w):
    async with s.lock:
        s.log.add(s.turn, w, "locked")
        for i in range(s.below(3)):
            await asyncio.sleep(0)


async def use_slot(s, w):
    async with s.slots:
        s.log.add(s.turn, w, "slot", s.slots.locked())
        for i in range(s.below(3)):
            await asyncio.sleep(0)


async def use_condition(s, w):
    async with s.cond:
        if s.below(3):
            await s.cond.wait()
            s.log.add(s.turn, w, "notified")
        else:
            s.cond.notify(s.below(4))
            await asyncio.sleep(0)


async def wait_for_level(s, w):
    async with s.cond:
        wanted = s.below(4)
        await s.cond.wait_for(lambda: s.level >= wanted)
        s.log.add(s.turn, w, "level", s.level)
        s.level = 0
        s.cond.notify_all()


async def pass_barrier(s, w):
    index = await s.barrier.wait()
    s.log.add(s.turn, w, "passed", index)


async def take_item(s, w):
    item = await s.queue.get()
    s.log.add(s.turn, w, "got", item)
    s.queue.task_done()


async def cancel_one(s, w):
    victim = s.below(len(s.tasks))
    s.log.add(s.turn, w, "cancels", victim)
    s.tasks[victim].cancel()
    if s.below(2):
        await asyncio.sleep(0)


async def act(s, w, i):
    match s.below(13):
        case 0:
            await use_lock(s, w)
        case 1:
            await use_slot(s, w)
        case 2:
            await s.event.wait()
        case 3:
            await use_condition(s, w)
        case 4:
            await wait_for_level(s, w)
        case 5 | 6:
            await pass_barrier(s, w)
        case 7:
            await s.queue.put(w * 100 + i)
        case 8:
            await take_item(s, w)
        case 9:
            await s.queue.join()
        case 10:
            await (s.barrier.reset() if s.below(2) else s.barrier.abort())
        case 11:
            await cancel_one(s, w)
        case _:
            for i in range(s.below(4)):
                await asyncio.sleep(0)


async def worker(s, w):
    for i in range(40):
        error = None
        try:
            await act(s, w, i)
        except (asyncio.CancelledError, asyncio.BrokenBarrierError, asyncio.QueueShutDown,
                ValueError) as exc:
            error = exc
        s.log.add(s.turn, w, kind(error), i)


def poke(s):
    match s.below(12):
        case 0:
            s.event.set()
        case 1:
            s.event.clear()
        case 2:
            s.event.set()
            s.event.clear()
        case 3:
            s.tasks[s.below(len(s.tasks))].cancel()
        case 4:
            s.queue.put_nowait(s.turn)
        case 5:
            s.log.add("main got", s.queue.get_nowait())
        case 6:
            s.queue.task_done()
        case 7:
            s.level += 1
            s.cond.notify_all()
        case 8:
            s.cond.notify(s.below(3))
        case 9:
            s.slots.release()
        case 10:
            s.log.add("least", s.least.get_nowait().number)
        case 11:
            s.least.put_nowait(Item(s.below(4), s.turn))


def add_state(s):
    s.log.add(s.turn, s.lock.locked(), s.slots.locked(), s.cond.locked(), s.barrier.n_waiting,
              s.barrier.broken, s.queue.qsize(), s.least.qsize())


async def main(seed):
    s = Schedule(seed)
    for s.turn in range(600):
        if s.turn == 500:
            s.queue.shutdown(seed % 2 == 0)
        try:
            if s.below(3) == 0:
                poke(s)
        except (asyncio.QueueEmpty, asyncio.QueueFull, asyncio.QueueShutDown, ValueError,
                RuntimeError) as exc:
            s.log.add("main", kind(exc))
        await asyncio.sleep(0)
    add_state(s)
    while not all(task.done() for task in s.tasks):
        s.turn += 1
        for task in s.tasks:
            task.cancel()
        await asyncio.sleep(0)
    add_state(s)
    say("seed", seed, "lines", len(s.log.lines), "hash", f"{s.log.hash:016x}")


async def all_seeds():
    for seed in range(100):
        await main(seed)


run(all_seeds())
