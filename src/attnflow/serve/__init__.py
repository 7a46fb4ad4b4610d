"""The web app: models explained in a browser, over a typed API, on this machine.

A request names one of the operator's models and becomes a job; jobs wait in a bounded queue for a worker
thread, report progress and can be cancelled; what they find is a saved result with a link of its own. Rooms:

    settings.py    what the operator chose, and what a visitor may ask for at most
    catalogue.py   the models that can be named: loaded when first asked for, the least used dropped
    jobs.py        the queue, the workers, progress and cancellation
    shelf.py       saved results, by unguessable names
    schema.py      what the API takes and gives
    work.py        from a request to a saved result
    guard.py       who may ask: hosts, origins, sizes, and what a page may load
    api.py         the API's routes
    pages.py       the pages, the browser's files and the API's reference
    command.py     `attnflow serve`

This module imports none of them, so that the command line stays light.
"""
