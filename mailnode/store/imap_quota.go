package store

// QuotaOf is what an account may hold.
func (s *Store) QuotaOf(account string) Quota {
	if s.quota == nil {
		return Quota{}
	}
	return s.quota(account)
}
