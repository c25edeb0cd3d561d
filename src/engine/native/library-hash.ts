/** SHA-256 of the library that `assembleLibrary` makes. A build that makes another one fails and prints its hash. */
export const LIBRARY_SHA256 = '293d6c97990a857c7505f8651f2e4aa0e09c50272cf3040e3e2c5d8c38b77454';
