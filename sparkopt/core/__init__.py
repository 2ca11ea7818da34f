"""Pure state machine of a pool, which decides who runs what.

This room knows the standard library and nothing else. It reads no clock, starts no thread, does no I/O and
sees no payload: an event and the time go in, commands come out, and the shell around it
(:mod:`sparkopt.coordinator`) does what they say.

    event, now ──▶ Machine.step ──▶ [command, ...]

    states.py        what a trial, a worker and a gang can be
    transitions.py   how they change, as tables
    events.py        what can happen
    commands.py      what there is to do about it
    records.py       what it keeps of each trial, worker and gang
    machine.py       the decisions: who runs what
    queues.py        trials that wait for a worker; studies take turns
    gangs.py         those over the lives of gangs
    surplus.py       which workers may leave when nothing more is to come
    story.py         what happened, for whoever has to find out why

It exports nothing by itself: workers need states.py alone, and are not to load the rest.
"""
