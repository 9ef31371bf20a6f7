"""Settings, as Prefect stores them."""
