"""Channels of studies: their way from another thread to the coordinator, and back.

    channel.py    thread-safe way of one study in and out
    studies.py    studies that are open: the bytes of their trials, and who hears of them
    untaken.py    reports that a study has not taken from its inbox yet
    requests.py   requests of running trials that wait for a reply, and replies that may have to be sent again

Everything but `channel.py` is for the coordinator's thread.
"""
