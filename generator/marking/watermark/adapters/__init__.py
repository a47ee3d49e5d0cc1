"""Ways of others to put bits into pixels, under this project's keys and with this project's p-values."""
