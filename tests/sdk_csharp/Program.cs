// Runs the handler against a server: one expiry after another, many callers at once, another origin, the end.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Net.Http;
using System.Text;
using System.Threading.Tasks;
using ManifestAuth;

internal static class Program
{
    private static ManifestTokens kept;
    private static int saved;

    private static Task Save(ManifestTokens tokens)
    {
        kept = tokens;
        saved++;
        return Task.FromResult(0);
    }

    private static HttpClient Client(Uri server, ManifestAuthHandler handler)
    {
        return new HttpClient(handler) { BaseAddress = server };
    }

    private static async Task<string> Statuses(HttpClient http, int callers)
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => http.GetAsync("api/client/auth/me")));
        return string.Join(",", answers.Select(each => ((int)each.StatusCode).ToString()).Distinct());
    }

    /// <summary>Tokens that have ended: the brief server gave them, and they lived for two seconds.</summary>
    private static async Task<ManifestTokens> Ended(Uri brief, string password)
    {
        await new ManifestAuthHandler(brief, null, Save).SignInAsync("acme", "author@acme.example", password);
        await Task.Delay(2100);
        return kept;
    }

    private static HttpClient Started(Uri server, ManifestTokens tokens, bool knows)
    {
        // Where its clock is wrong, only the server knows that a token has ended.
        var renewAt = knows ? tokens.RenewAt : DateTimeOffset.MaxValue;
        saved = 0;
        return Client(server, new ManifestAuthHandler(server, new ManifestTokens(tokens.Token, tokens.RefreshToken, renewAt), Save));
    }

    private static async Task Run(Uri server, Uri brief, Uri other, string password)
    {
        var handler = new ManifestAuthHandler(server, null, Save);
        Console.WriteLine("before " + await Statuses(Client(server, handler), 1));
        try
        {
            await handler.SignInAsync("acme", "author@acme.example", "wrong-wrong-wrong");
        }
        catch (ManifestAuthException refused)
        {
            Console.WriteLine("refused " + refused.Code + " " + (refused.RequestId.Length >= 8));
        }
        var http = Started(server, await Ended(brief, password), true);
        Console.WriteLine("by the clock " + await Statuses(http, 50) + " " + saved);
        http = Started(server, await Ended(brief, password), false);
        Console.WriteLine("after a 401 " + await Statuses(http, 50) + " " + saved);
        http = Started(server, await Ended(brief, password), false);
        var body = new StringContent("{\"query\":\"{ me { email } }\"}", Encoding.UTF8, "application/json");
        var graphql = await http.PostAsync("api/client/graphql", body);
        Console.WriteLine("body " + (await graphql.Content.ReadAsStringAsync()).Contains("author@acme.example") + " " + saved);
        Console.WriteLine("other origin '" + await http.GetStringAsync(other) + "'");
        Console.WriteLine("out " + (int)(await http.PostAsync("api/client/auth/sign-out", null)).StatusCode);
        Console.WriteLine("over " + await Statuses(http, 3) + " " + saved + " " + (kept == null));
    }

    private static void Main(string[] given)
    {
        Run(new Uri(given[0]), new Uri(given[1]), new Uri(given[2]), given[3]).GetAwaiter().GetResult();
    }
}
