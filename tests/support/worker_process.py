"""A worker in a process of its own, in a hurry: `python -m tests.support.worker_process DATABASE GITHUB`."""

import signal
import sys
import threading

from release_ledger.ledger import Ledger
from release_ledger.settings import Settings
from release_ledger.worker import Worker
from tests.support.working import HURRIED, TOKEN


def main() -> None:
    database_url, github_url = sys.argv[1:]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = Settings(database_url=database_url, github_url=github_url, github_token=TOKEN)
    ledger = Ledger.open(database_url)
    Worker(ledger, settings, HURRIED).run(stop)
    ledger.close()


if __name__ == "__main__":
    main()
