"""Demonstrations that check themselves: a question, a measurement on real processes, a verdict, and a control.

A lab is one file in tinybox/lab/catalogue/, named after it (``pid-max`` is pid_max.py), under 150 lines. Its docstring
begins with a line of at most 70 characters that ``tinybox lab list`` shows; then come two or three sentences to be
read aloud. It defines ``LAB``, a course.Lab: the question, the answer, what the control takes away, and ``check``:

    def check(bench: Bench, *, feature: bool) -> None:
        with bench.box("sleep", "60", pid="private" if feature else "host") as box:
            numbers = look.status(box.program, "NSpid").split()
            bench.on_host("NSpid", " ".join(numbers), f"/proc/{box.program}/status")
            bench.claim("one process has two numbers", len(numbers) == 2)

The lab runs ``check(bench, feature=True)``, and all of its claims have to hold. The control runs the very same function
with ``feature=False``; it takes the one thing away that the lab is about, and then a claim has to break. A control in
which all claims hold shows that the lab would not have noticed: it agrees, and ``tinybox lab check`` calls that broken.
An error (a lab that could not be done) is a FAIL of the lab, and breaks a control, too: it shows nothing.

What the bench offers (bench.py, and box.py for what comes back):

- ``bench.box(*command, **options)`` keeps a box, made by the engine, for as long as the ``with`` lasts. The options are
  those of ``tinybox run``; the network is ``none`` unless they say otherwise. The command is words, for a program of
  the image, or a Python function with its arguments (see inside.py): ``bench.box(count, 3)``.
- ``bench.process(function, ...)`` is the same on the host, without any box: for the other side of the comparison.
- ``box.start(...)`` and ``box.run(...)`` are `tinybox exec`: another program or function in the running box.
- All of them have ``pid`` (the host's number), ``line()``, ``hear()`` (a line of JSON), ``rest()``, ``say()`` and
  ``wait()``; a box has ``program``, the host's number of the program below its PID 1, and ``path("/etc")`` besides.
- ``bench.until(fact)`` waits for a fact and raises when it does not come; ``bench.comes(fact)`` returns None then.
- ``bench.on_host``, ``bench.in_box`` and ``bench.saw`` note evidence: a figure, its value, and the file or the call it
  came from, to be typed by a student. A figure of the same name on both sides stands on one line: two views.
- ``bench.claim(sentence, holds)``; ``bench.need(fact, reason)`` ends a lab that this host cannot do as INCONCLUSIVE;
  so does ``bench.need_fair()`` where the CPU is somebody else's; ``bench.random`` follows ``--seed``.

A function that runs in a box imports nothing: there is no Python behind pivot_root(2). Import at the top of the file.
Its children share its stdin: one that is only to stay calls signal.pause(), or it reads the line meant for another.
"""
