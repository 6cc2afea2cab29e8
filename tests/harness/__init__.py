"""What the black-box suites share: the server under test, a plain HTTP client, people with devices, an independent
source of one-time codes. Nothing here imports or reuses code of the product."""
