"""Channels of studies: their way from another thread to the coordinator, and back.

for the study's thread
channel.py             thread-safe way of one study in and out
study_events.py        what comes out: attempts, reports, values, requests and settled trials
gathered_values.py     intermediate values until the study looks at them
external_requests.py   and what clients of the control service want of the study
payload.py             pickled bytes, in memory or in a file
objective_spec.py      what runs for each trial of a study
posted_actions.py      what goes in: actions that are posted to the coordinator's thread
for the coordinator's thread
studies.py             studies that are open: the bytes of their trials, and their subscribers
untaken.py             reports that a study has not taken from its inbox yet
received_values.py     how many intermediate values each running attempt has sent
judge.py               what a study's pruner says of its running trials
held_checkpoints.py    checkpoints of running trials, until these settle
requests.py            requests of running trials that wait for a reply, and replies that are kept
"""
