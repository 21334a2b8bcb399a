package auth

// Provider is an OpenID provider.
type Provider struct{}
