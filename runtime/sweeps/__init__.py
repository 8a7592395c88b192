"""Many trainings in one go: a grid of settings, each with many seeds, over processes or a cluster.

    request -> plan -> job -> workers -> outcomes -> journal, table, pictures

A plan numbers its runs. Workers get numbers and send back outcomes, each with the key of its
run; nothing else passes between them, so the result depends neither on how many there are nor
on who ends first.
"""
