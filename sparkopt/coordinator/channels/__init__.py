"""Channels of studies: their way from another thread to the coordinator, and back.

    channel.py          thread-safe way of one study in and out
    posted_actions.py   what the coordinator does for a study, posted to its thread
    studies.py          studies that are open: the bytes of their trials, and who hears of them
    untaken.py          reports that a study has not taken from its inbox yet
    requests.py         requests of running trials that wait for a reply, and replies that are kept

The first two are for the study's thread, the others for the coordinator's.
"""
