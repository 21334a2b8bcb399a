package store

// QuotaOf is what an account may hold.
func (s *Store) QuotaOf(account string) Quota { return Quota{} }

// WatchCall is Watch for somebody who has no goroutine that waits.
func (s *Store) WatchCall(account string, ready func()) *Watch { return nil }
