"""Recovery of a whole cluster's databases from a logical backup."""
