"""Exercises: tasks on live boxes, with other numbers for each student, checked by facts that the kernel shows.

An exercise is one file in tinybox/exercises/catalogue/ (``full-pipe`` is full_pipe.py). The first line of its docstring
is its subject, the rest is the idea behind it. It defines ``EXERCISE``, a course.Exercise, with these functions:

- ``draw(random)`` returns the numbers of one student: names of boxes, sizes, signals. It depends on the seed only, so
  the text of the task, the boxes and the check all call it, and no answer is on disk.
- ``prepare(scene)`` makes the boxes by ``scene.box(name, *command, **options)``, which is `tinybox run -d`.
- ``check(scene, answer)`` reads files of the kernel, and notes each figure with its source by ``scene.saw``.
  ``scene.need(holds, sentence)`` ends the check with the sentence that says what is not yet so.

Task, hints and solution are texts with ``{fields}``, which are filled in from the numbers.
"""
