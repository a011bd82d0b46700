"""Demonstrations that check themselves: a question, a measurement on real processes, a verdict, and a control.

A lab is one file in tinybox/lab/catalogue/ of the same name (``pid-max`` is pid_max.py), under 150 lines. Its docstring
begins with a line of at most 70 characters, which ``tinybox lab list`` prints; then come two or three sentences to be
read aloud. It defines ``LAB``, a course.Lab: the question, the answer, what the control removes, and ``check``:

    def check(bench: Bench, *, feature: bool) -> None:
        with bench.box("sleep", "60", pid="private" if feature else "host") as box:
            numbers = look.status(box.program, "NSpid").split()
            bench.on_host("NSpid", " ".join(numbers), f"/proc/{box.program}/status")
            bench.claim("one process has two numbers", len(numbers) == 2)

The lab runs ``check(bench, feature=True)``, and all of its claims have to hold. The control runs the same function with
``feature=False``. It removes the one feature that the lab is about, and then a claim has to break. If all claims hold
in the control, too, then the lab does not depend on the feature: the control agrees, and ``tinybox lab check`` reports
FAIL. An error (a lab that could not be done) is a FAIL of the lab, and of a control, too, because it proves nothing.

The methods of the bench (bench.py; box.py for the objects that they return):

- ``bench.box(*command, **options)`` keeps a box, made by the engine, for as long as the ``with`` lasts. The options are
  those of ``tinybox run``; the default network is ``none``. The command is a program of the image with its arguments,
  or a Python function with its arguments (see inside.py): ``bench.box(count, 3)``.
- ``bench.process(function, ...)`` is the same on the host, without any box: for the other side of the comparison.
- ``box.start(...)`` and ``box.run(...)`` work as `tinybox exec`: another program or function in the running box.
- All of them have ``pid`` (the host's number), ``read_line()``, ``receive()`` (a line of JSON), ``read_all()``,
  ``send_line()`` and ``wait()``. A box also has ``program``, the host's number of the program below its PID 1, and
  ``path("/etc")``.
- ``bench.until(fact)`` waits until a fact is true, and raises an error if that takes too long; ``bench.comes(fact)``
  returns None then.
- ``bench.on_host``, ``bench.in_box`` and ``bench.saw`` note evidence: a figure, its value, and the file or the call it
  came from, so that a student can type it. A figure of the same name on both sides is shown on one line: two views.
- ``bench.text_says("pids are random", f"fork(2) gave {one}, then {two}", refuted=two == one + 1)`` notes a mistake of
  the texts that the lectures follow, and what was measured: one line, printed below the claims.
- ``bench.draw(Curves(...))`` notes figures that belong into one picture (tinybox/pictures/series.py has the kinds):
  ``lab run --html`` draws it, ``--json`` has the figures. Its sentence must follow from the figures.
- ``bench.claim(sentence, holds)`` notes a claim; ``bench.need(fact, reason)`` ends a lab that this host cannot do as
  INCONCLUSIVE; ``bench.need_fair()`` does so if other programs use the CPU; ``bench.random`` follows ``--seed``.

A function that runs in a box must not import: after pivot_root(2) there is no Python. Import at the top of the file.
Its children share its stdin: a child that only stays must call signal.pause(), not read a line meant for the function.
"""
