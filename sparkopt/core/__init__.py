"""Pure state machine of a pool, which decides who runs what.

This room knows the standard library and nothing else. It reads no clock, starts no thread, does no I/O and
sees no payload: an event and the time go in, commands come out, and the shell around it
(:mod:`sparkopt.coordinator`) does what they say.

    event, now ──▶ Machine.step ──▶ [command, ...]

    states.py        what a trial, a worker, a gang and a seat can be
    transitions.py   how they change, as tables
    events.py        what can happen
    commands.py      what there is to do about it
    records.py       what it keeps of each trial, worker, gang and seat
    pool_state.py    what is known of a pool, and what others may ask of it
    trial_ends.py    what ends attempts and trials, and what a loss costs
    machine.py       the decisions: who runs what
    queues.py        trials that wait for a worker; studies take turns
    staffing.py      interface to the two ways to staff a pool, gangs and fleet
    gangs.py         those over the lives of gangs: barrier jobs
    fleet.py         those over the lives of seats: a job for each worker of an elastic pool
    losses.py        losses that Spark may yet explain, and trials that wait for that
    surplus.py       which workers may leave when nothing more is to come
    story.py         events and commands, for people who have to find out why

It exports nothing by itself: workers need states.py alone, and are not to load the rest.
"""
