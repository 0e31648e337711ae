"""What providers and readers call over HTTP: events, receipts, the page behind a link in an e-mail."""
