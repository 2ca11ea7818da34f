"""Processes of a worker, which run on an executor.

    Spark's Python worker                                       one of many, reused by Spark for other jobs
      │ forks, waits
      ▼
    process A   agent.py         holds at most one attempt; sees its outcome home
      │         coordinator_connection.py  the stream to the coordinator: heartbeats, cuts, coming back
      │         questions.py     reports and requests of its attempt, and what they are answered
      │         blob_files.py    payloads that are too large for a message, fetched and pushed (pushing.py)
      │         supervisor.py    starts, feeds and kills evaluators
      │         evaluator_connection.py  A's end of the socket to one; what comes is checked by answers.py
      │         output.py        what evaluators write, line by line to the executor's log
      │ forks before it imports grpc
      ▼
    nursery     nursery.py       forks evaluators and buries them; free of threads and of grpc
      │ forks
      ▼
    process B   evaluator.py     alone unpickles and runs the objective
                evaluator_socket.py      B's end of the socket, for its own process alone
                children.py      the end of a child that comes out of the objective
                surroundings.py  what a trial must not hand on to the next, with originals.py,
                                 interpreter.py and process_state.py
                streams.py       standard output and error: a pipe to A

    task.py       the way in, inside the barrier task
    outbox.py     reports and outcomes, kept until acknowledged
    broadcasts.py what stands for a broadcast variable
    reports.py    what an objective says in the middle of a trial; asking.py has it taken and answered
    checkpoints.py what a trial saves, and goes on from when its worker is lost
    shipped.py    an objective with its front end's word on what it returns
    shipped_modules.py the user's own modules that come with an objective
    outside.py    objectives whose results are told outside of Python, as JSON
    thread_pools.py how many threads its libraries compute with
    spec.py       what a worker is told at its birth
    greeting.py   its name, and the hello that its streams begin with
    frames.py     how A and B talk over their socket; headers.py has the frames' headers
    processes.py  what forked processes owe each other
    descriptors.py file descriptors that a forked process keeps, and those that it lets go of

Who ends whom: A notices the end of the barrier task by a pipe, the nursery that of A by its socket, and
the kernel kills B if the nursery dies. So nothing outlives the task, however it ends. On Linux the kernel
also continues a process that was stopped when its parent ends (PR_SET_PDEATHSIG with SIGCONT), so that it
cleans up.

An objective may harm any of these processes, and costs its own trial alone:

    the nursery is gone or does   A kills it with all that descends from it; the spare one takes its place
    nothing for five seconds
    A dies, or gives no sign of   the task kills what is left of it and forks another A, the next life of the
    life for the grace and ten    same worker; the trial is charged with a lost worker
    seconds
    bytes that are not a frame,   A kills the evaluator, and its trial fails with what had come (answers.py)
    or that come out of turn
    the evaluator dies before it  the kernel resets a socket closed unread: the next evaluator runs it
    has read what it is to run
    a forked child comes out of   it ends there (children.py); it can neither report nor answer, as its
    the objective                 descriptor of the socket leads to /dev/null
    all descriptors are closed    the evaluator saves its answer in the worker's directory, and ends
    changes in its own process    put back before the next trial (surroundings.py), or the evaluator ends

What evaluators and their children write goes through one pipe to A, and line by line to the executor's
log, with the trial's number in front. While the log takes nothing, A does not read: the objective waits,
heartbeats go on. A's event loop is uvloop's, if the executor has uvloop: with asyncio's own, a trial that
does nothing takes a fifth longer.

An executor needs grpcio, protobuf and cloudpickle. It may lack sparkopt itself (sparkopt/spark/bootstrap.py),
and all else that this room imports. On Linux descendants are found in /proc; elsewhere a worker needs psutil.

This room imports neither Spark nor hyperopt nor MLflow, and grpc only in A.
"""
